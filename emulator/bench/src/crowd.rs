//! Many requests by a few who each send the next one once they have an answer.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::try_join_all;

use crate::error::BenchError;

/// How many send at once.
pub(crate) const AT_ONCE: usize = 16;

/// Has each number asked for once, and ends with the first failure.
pub(crate) async fn ask(
    numbers: Range<usize>,
    one: impl AsyncFn(usize) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    let next = AtomicUsize::new(numbers.start);
    let client = async || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end {
                return Ok(());
            }
            one(number).await?;
        }
    };
    try_join_all((0..AT_ONCE).map(|_| client())).await.map(|_| ())
}
