//! A TCP link that can go dead without telling either end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Stands between a client and the broker. Its connections end with the test's runtime.
pub(crate) struct Link {
    port: u16,
    state: watch::Sender<State>,
    connections: Arc<AtomicU64>,
}

#[derive(Clone, Copy)]
struct State {
    /// Whether anything passes.
    open: bool,
    /// Connections with a number below this are dead for good.
    alive_from: u64,
}

impl Link {
    /// A link to a broker, open.
    pub(crate) async fn to(url: &str) -> Self {
        let broker = url.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, passes) = watch::channel(State {
            open: true,
            alive_from: 0,
        });
        let connections = Arc::new(AtomicU64::new(0));
        tokio::spawn(accept(listener, broker, passes, connections.clone()));
        Self {
            port,
            state,
            connections,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Swallows everything, both ways. Connections stay open, new ones are taken.
    pub(crate) fn die(&self) {
        self.state.send_modify(|state| state.open = false);
    }

    /// The same connections go on, with everything that waited.
    pub(crate) fn heal(&self) {
        self.state.send_modify(|state| state.open = true);
    }

    /// New connections pass. The old ones stay dead, and are never told; what they held is gone.
    pub(crate) fn replace(&self) {
        let alive_from = self.connections.load(Ordering::SeqCst);
        self.state.send_modify(|state| {
            *state = State {
                open: true,
                alive_from,
            }
        });
    }
}

async fn accept(
    listener: TcpListener,
    broker: String,
    passes: watch::Receiver<State>,
    connections: Arc<AtomicU64>,
) {
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let number = connections.fetch_add(1, Ordering::SeqCst);
        // A broker that is down is for the client to meet: its connection ends here.
        let Ok(far) = TcpStream::connect(&broker).await else {
            continue;
        };
        near.set_nodelay(true).unwrap();
        far.set_nodelay(true).unwrap();
        let (near_reads, near_writes) = near.into_split();
        let (far_reads, far_writes) = far.into_split();
        tokio::spawn(carry(number, passes.clone(), near_reads, far_writes));
        tokio::spawn(carry(number, passes.clone(), far_reads, near_writes));
    }
}

async fn carry(
    number: u64,
    mut passes: watch::Receiver<State>,
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
) {
    let mut bytes = vec![0; 64 * 1024];
    // Also the end of a connection passes only when the link does. An error is such an end.
    loop {
        let length = from.read(&mut bytes).await.unwrap_or(0);
        let alive = |state: &State| state.open && number >= state.alive_from;
        if passes.wait_for(alive).await.is_err()
            || length == 0
            || to.write_all(&bytes[..length]).await.is_err()
        {
            return;
        }
    }
}
