//! The two signals by which a program is asked to stop.

use tokio::signal;

/// Returns a future that is ready on Ctrl-C, or on SIGTERM where the system has it. Both are caught from this call on,
/// before the future is awaited, so that a program that calls it first can always clean up.
pub fn stopped() -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        let signals = [signal::unix::SignalKind::interrupt(), signal::unix::SignalKind::terminate()];
        let [interrupt, terminate] = signals.map(signal::unix::signal);
        async {
            tokio::select! {
                () = caught(interrupt) => {}
                () = caught(terminate) => {}
            }
        }
    }
    #[cfg(not(unix))]
    async {
        if signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

/// A signal that cannot be caught ends the process by itself, which is what was asked for.
#[cfg(unix)]
async fn caught(signal: std::io::Result<signal::unix::Signal>) {
    match signal {
        Ok(mut signal) => _ = signal.recv().await,
        Err(_) => std::future::pending().await,
    }
}
