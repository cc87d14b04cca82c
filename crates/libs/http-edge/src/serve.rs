//! Serves until told to stop, then answers what has already been sent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{Connections, Rules};
use crate::error_page::ErrorPage;
use crate::hosts::{AllowedHosts, Hosts};

/// How long requests under way may take after the stop; then their connections are left to the process's end.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the listener waits after an error that the next `accept` would meet too, such as too many open files.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Connections that are taken from the kernel's queue at the stop; more than a queue of tokio's holds.
const QUEUED: usize = 4096;

/// Listens on an address; the error names it, and says what to do.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    TcpListener::bind(address).await.map_err(|error| {
        let kind = error.kind();
        let cause = match kind {
            AddrInUse => "it is in use: stop the program that listens there, or",
            AddrNotAvailable => "this machine has no such address:",
            PermissionDenied => "this user may not listen there, as on most ports below 1024:",
            _ => return io::Error::new(kind, format!("cannot listen on {address}: {error}")),
        };
        let text =
            format!("cannot listen on {address}: {cause} choose another address with --listen (LISTEN)");
        io::Error::new(kind, text)
    })
}

/// What holds for every request, whatever its route.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// The names under which it answers.
    pub allowed_hosts: AllowedHosts,
    /// How errors are shown to people; without it, everybody gets the JSON.
    pub error_page: Option<ErrorPage>,
}

/// Serves `router` on `listener` until `stop`. Then nothing new is accepted, and what was sent before is answered, for five
/// seconds at most.
///
/// The connections that the kernel had accepted are served too. A connection gives its last answer with `Connection: close`;
/// one without a request is closed a quarter of a second after the stop, for a request may be on its way.
///
/// A request that does not name one host is refused (400), and so is one for a host that is not [allowed](AllowedHosts) (421).
/// An answer that does not say how it may be cached says `private, no-cache`: a cache may guess otherwise (RFC 9111, section
/// 4.2.2). A client that has closed its sending side is answered for two seconds, and counts as gone after that.
///
/// Slow request heads are not limited: behind a public address, put a proxy.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    stop: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    let rules = Rules {
        hosts: Hosts::new(options.allowed_hosts, address),
        error_page: options.error_page,
    };
    let stopping = Arc::new(AtomicBool::new(false));
    let tasks = TaskTracker::new();
    let connections = Connections::new(router, rules, Arc::clone(&stopping), stop.clone());
    let mut acceptor = Acceptor::default();
    loop {
        tokio::select! {
            stream = acceptor.accept(&listener) => drop(tasks.spawn(connections.serve(stream))),
            () = stop.cancelled() => break,
        }
    }
    let deadline = Instant::now() + DRAIN;
    // Before the queue is emptied: whoever is answered from now on is told that it is the last answer.
    stopping.store(true, Ordering::Relaxed);
    for stream in queued(listener)? {
        tasks.spawn(connections.serve(stream));
    }
    tasks.close();
    if timeout_at(deadline, tasks.wait()).await.is_err() {
        tracing::warn!(after = ?DRAIN, requests_under_way = tasks.len(), "stopping with requests under way");
    }
    Ok(())
}

/// Accepts, and says once per outage that it cannot.
#[derive(Debug, Default)]
struct Acceptor {
    failing: bool,
}

impl Acceptor {
    async fn accept(&mut self, listener: &TcpListener) -> TcpStream {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    if std::mem::take(&mut self.failing) {
                        tracing::info!("connections are accepted again");
                    }
                    return stream;
                }
                // This connection's own end, before it was accepted.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::error!(%error, "cannot accept connections: raise the limit of open files if it is reached");
                    }
                    sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// What the kernel had accepted by now; then the listener is closed.
///
/// Asks the kernel and not tokio, which learns of a connection only when its driver runs next. Who connects in the few
/// microseconds between the last `accept` and the close is reset: Linux has no way to refuse and accept at once.
fn queued(listener: TcpListener) -> io::Result<Vec<TcpStream>> {
    let listener = listener.into_std()?;
    let accepted = std::iter::from_fn(|| listener.accept().ok()).take(QUEUED);
    accepted
        .map(|(stream, _)| {
            stream.set_nonblocking(true)?;
            TcpStream::from_std(stream)
        })
        .collect()
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
