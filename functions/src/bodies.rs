//! Bodies of requests, read so that many slow or large ones do not fill the memory.

use axum::body::Body;
use futures::StreamExt;
use hyper::body::Body as _;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The most that is read of a body. An event of Azure Resource Manager has a few kilobytes.
pub(crate) const MAX_BODY: usize = 1 << 20;
/// What a body may have without waiting for a place. An upload's event is well within it, so that large bodies never
/// hold it up.
const SMALL: usize = 16 << 10;
/// How many larger ones are in memory at once.
const LARGE_AT_ONCE: usize = 8;

/// The places of large bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    large: Semaphore,
}

/// A body, and its place for as long as it is there.
#[derive(Debug)]
pub(crate) struct Whole<'b> {
    pub(crate) bytes: Vec<u8>,
    _place: Option<SemaphorePermit<'b>>,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It has more than [`MAX_BODY`].
    TooLarge,
    /// The caller did not send all of it.
    BrokeOff,
}

impl Default for Bodies {
    fn default() -> Self {
        Bodies { large: Semaphore::new(LARGE_AT_ONCE) }
    }
}

impl Bodies {
    /// Reads a body to its end. The server of the connection decides how long that may take.
    pub(crate) async fn read(&self, body: Body) -> Result<Whole<'_>, Unread> {
        if body.size_hint().lower() > MAX_BODY as u64 {
            return Err(Unread::TooLarge);
        }
        let mut pieces = body.into_data_stream();
        let (mut bytes, mut place) = (Vec::new(), None);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| Unread::BrokeOff)?;
            let length = bytes.len() + piece.len();
            if length > MAX_BODY {
                return Err(Unread::TooLarge);
            }
            if length > SMALL && place.is_none() {
                // The semaphore is never closed.
                place = self.large.acquire().await.ok();
                bytes.reserve_exact(MAX_BODY - bytes.len());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Whole { bytes, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::stream;
    use tokio::time::timeout;

    use super::*;

    /// As much as that, and then nothing and no end.
    fn stalling(bytes: usize) -> Body {
        let piece = Ok::<_, std::io::Error>(vec![b' '; bytes]);
        Body::from_stream(stream::iter([piece]).chain(stream::pending()))
    }

    async fn read(bodies: &Bodies, body: Body) -> Result<usize, Unread> {
        bodies.read(body).await.map(|whole| whole.bytes.len())
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let bodies = Bodies::default();
        for (length, expected) in [
            (0, Ok(0)),
            (SMALL, Ok(SMALL)),
            (SMALL + 1, Ok(SMALL + 1)),
            (MAX_BODY, Ok(MAX_BODY)),
            (MAX_BODY + 1, Err(Unread::TooLarge)),
        ] {
            assert_eq!(
                read(&bodies, Body::from(vec![b' '; length])).await,
                expected,
                "{length}, known before"
            );
            let pieces = vec![b' '; length].chunks(1000).map(|piece| Ok(piece.to_vec())).collect::<Vec<_>>();
            let body = Body::from_stream(stream::iter(pieces).map(|piece: Result<_, std::io::Error>| piece));
            assert_eq!(read(&bodies, body).await, expected, "{length}, in pieces");
        }
        let broken = stream::iter([Ok("[{"), Err("the connection was reset")]);
        assert_eq!(read(&bodies, Body::from_stream(broken)).await, Err(Unread::BrokeOff));
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_that_stall_hold_up_large_ones_only() {
        let bodies = Bodies::default();
        let soon = Duration::from_secs(1);
        let mut stalled: Vec<_> =
            (0..LARGE_AT_ONCE).map(|_| Box::pin(bodies.read(stalling(SMALL + 1)))).collect();
        for stalled in &mut stalled {
            assert!(timeout(soon, stalled).await.is_err());
        }
        assert_eq!(read(&bodies, Body::from(vec![b' '; SMALL])).await, Ok(SMALL));
        assert!(timeout(soon, read(&bodies, Body::from(vec![b' '; SMALL + 1]))).await.is_err());
        stalled.pop();
        assert_eq!(read(&bodies, Body::from(vec![b' '; SMALL + 1])).await, Ok(SMALL + 1));
    }
}
