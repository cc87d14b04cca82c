//! Serves until told to stop, then lets what is under way finish.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long requests under way may take after the stop; then their connections are left to the process's end.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves `router` on `listener` until `stop`; requests under way are finished, for five seconds at most.
///
/// Limits on slow request heads are not set, because `axum::serve` has none: behind a public address, put a proxy.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "listening");
    let listener = listener.tap_io(|connection| {
        // Small answers must not wait for more to come.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let drained = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        result = serving.into_future() => result,
        () = drained => {
            tracing::warn!(after = ?DRAIN, "stopping with requests under way");
            Ok(())
        }
    }
}

/// A token that is cancelled by Ctrl-C (SIGINT) or SIGTERM.
///
/// # Panics
///
/// Outside of a tokio runtime with its I/O driver on.
pub fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let signalled = stop.clone();
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be listened for");
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping on a signal");
        signalled.cancel();
    });
    stop
}
