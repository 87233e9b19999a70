//! Runs a program's future, and ends with it.
//!
//! A runtime waits for its blocking tasks when it is dropped: a name that is being looked up, a key that is being
//! made. None of them is worth that a program which was told to stop goes on.

use std::time::Duration;

use tokio::runtime::Builder;

/// How long blocking tasks may take to finish after the future has.
const GRACE: Duration = Duration::from_secs(1);

/// Runs a future to its end on a runtime of its own.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    block_on_for(GRACE, future)
}

fn block_on_for<F: Future>(grace: Duration, future: F) -> F::Output {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("the system has threads and an event queue for a program to begin with");
    let output = runtime.block_on(future);
    runtime.shutdown_timeout(grace);
    output
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::spawn;

    use super::*;

    #[test]
    fn a_blocking_task_that_never_ends_does_not_hold_the_end_up() {
        let (release, never) = channel::<()>();
        let (ended, has_ended) = channel();
        spawn(move || {
            let output = block_on_for(Duration::ZERO, async {
                let (begun, has_begun) = tokio::sync::oneshot::channel();
                tokio::task::spawn_blocking(move || {
                    let _ = begun.send(());
                    let _ = never.recv();
                });
                has_begun.await.expect("the blocking task begins");
                7
            });
            let _ = ended.send(output);
        });
        // Without the bound it waits for the blocking task, which waits for this test.
        assert_eq!(has_ended.recv_timeout(Duration::from_secs(60)), Ok(7));
        drop(release);
    }
}
