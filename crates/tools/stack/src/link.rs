//! A TCP proxy in front of anything, that can be cut, black-holed or slowed down while connections are open.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::ports::local;

/// What is read at once, and thereby what one delay of a slow link is for.
const CHUNK: usize = 16 * 1024;

/// What a link does with what comes, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    Cut,
    BlackHole,
    Slow(Duration),
}

/// A link between a client and one address. Open at first; gone, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Link {
    /// What stood before `://` in the address of the other end, to be given to clients too.
    scheme: Option<String>,
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// Each is tried until one takes the connection.
    upstreams: Vec<String>,
    mode: watch::Sender<Mode>,
    forwarded: AtomicU64,
    /// A connection is its task: ending the task closes both of its sockets.
    connections: Mutex<Vec<JoinHandle<()>>>,
}

impl Link {
    /// Starts a link to `upstream`: a host and port, or the URL of one without a path, such as `nats://127.0.0.1:4222`.
    ///
    /// Several hosts and ports, separated by commas, are as one name that leads to all of them: the first is connected to
    /// that takes a connection.
    ///
    /// # Panics
    /// When no port of the loopback interface is free.
    pub async fn start(upstream: &str) -> Self {
        Self::start_on(0, upstream)
            .await
            .expect("a loopback port is free")
    }

    /// The same on a port of this machine that others know; 0 is any free one.
    pub async fn start_on(port: u16, upstream: &str) -> io::Result<Self> {
        let (scheme, upstream) = match upstream.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_owned()), rest),
            None => (None, upstream),
        };
        let listener = TcpListener::bind(local(port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstreams: upstream
                .trim_end_matches('/')
                .split(',')
                .map(str::to_owned)
                .collect(),
            mode: watch::Sender::new(Mode::Open),
            forwarded: AtomicU64::new(0),
            connections: Mutex::default(),
        });
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            scheme,
            address,
            shared,
            acceptor,
        })
    }

    /// Where to connect, instead of the other end.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same with the scheme of the other end's URL.
    pub fn url(&self) -> String {
        match &self.scheme {
            Some(scheme) => format!("{scheme}://{}", self.address),
            None => self.address.to_string(),
        }
    }

    /// Lets everything pass: what a black hole held goes on at once, in order and whole; so does what is being delayed.
    pub fn open(&self) {
        self.shared.mode.send_replace(Mode::Open);
    }

    /// Closes every connection, on both sides, and each new one as soon as it is made. Returns once they are closed.
    ///
    /// What they still held is lost, as with a cable that is cut.
    pub async fn cut(&self) {
        self.shared.mode.send_replace(Mode::Cut);
        self.reset().await;
    }

    /// Forwards nothing any more, either way, and tells nobody: connections stay open and new ones are accepted.
    ///
    /// Nothing is lost: the link stops reading, so that the senders' own buffers fill up, and [`open`](Self::open)
    /// resumes. An end that has closed meanwhile is found out only then, unless it is a client that came meanwhile and
    /// said nothing: its connection ends at once.
    pub fn black_hole(&self) {
        self.shared.mode.send_replace(Mode::BlackHole);
    }

    /// Closes every connection, and holds each new one until [`open`](Self::open). Returns once they are closed.
    ///
    /// A client that is refused tries again at once, and says so in its log each time; one that is held waits.
    pub async fn hold(&self) {
        self.black_hole();
        self.reset().await;
    }

    /// Whether nothing passes, and nobody is told.
    pub fn is_held(&self) -> bool {
        *self.shared.mode.borrow() == Mode::BlackHole
    }

    /// Holds every chunk back for a while: each of up to 16 KiB, in each direction, one after the other.
    pub fn slow(&self, delay: Duration) {
        self.shared.mode.send_replace(Mode::Slow(delay));
    }

    /// Closes every connection once, with what it held; new ones are treated as the mode says. Returns once they are
    /// closed. This is how a black hole ends whose peers do not meet again.
    pub async fn reset(&self) {
        let connections = std::mem::take(&mut *self.shared.connections());
        connections.iter().for_each(JoinHandle::abort);
        for connection in connections {
            // It was aborted, or had ended before: both are closed.
            let _ = connection.await;
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        let mut connections = self.shared.connections();
        connections.retain(|connection| !connection.is_finished());
        connections.len()
    }

    /// How many bytes were forwarded since the start, both ways together: it stands still in a black hole.
    pub fn forwarded(&self) -> u64 {
        self.shared.forwarded.load(Ordering::Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.shared.mode.send_replace(Mode::Cut);
        self.shared.connections().iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // An error of one connection, such as too many files, is the client's to notice.
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let mut connections = shared.connections();
        // Under the lock: a cut that comes after this look finds the connection in the list.
        if *shared.mode.borrow() != Mode::Cut {
            connections.retain(|connection| !connection.is_finished());
            connections.push(tokio::spawn(carry(client, Arc::clone(&shared))));
        }
    }
}

/// One connection, until both sides have ended or one breaks.
async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let mut mode = shared.mode.subscribe();
    let mut early = [0];
    // A client that leaves while it waits must not come to the other end afterwards. One that has said something may
    // leave: what it said is held like all else, and the pattern then leaves the wait for the mode alone.
    tokio::select! {
        () = passable(&mut mode) => {}
        Ok(0) | Err(_) = client.peek(&mut early) => return,
    }
    let Some(upstream) = connect(&shared.upstreams).await else {
        return;
    };
    for side in [&client, &upstream] {
        // Without it small messages wait for more to come, which would be a delay nobody asked for.
        let _ = side.set_nodelay(true);
    }
    let ((from_client, to_client), (from_upstream, to_upstream)) =
        (client.into_split(), upstream.into_split());
    let there = forward(from_client, to_upstream, mode.clone(), &shared.forwarded);
    let back = forward(from_upstream, to_client, mode, &shared.forwarded);
    // The first that breaks ends both.
    let _ = tokio::try_join!(there, back);
}

async fn connect(upstreams: &[String]) -> Option<TcpStream> {
    for upstream in upstreams {
        if let Ok(connection) = TcpStream::connect(upstream).await {
            return Some(connection);
        }
    }
    None
}

/// One direction. The mode is asked again for every chunk, after it was read: one that was on its way when the link became
/// a black hole stays in here.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    forwarded: &AtomicU64,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        passable(&mut mode).await;
        if length == 0 {
            return to.shutdown().await;
        }
        // Counted before they arrive: a client that has received bytes must find them counted.
        forwarded.fetch_add(length as u64, Ordering::Relaxed);
        to.write_all(&chunk[..length]).await?;
    }
}

/// Waits for as long as the mode says; a change of the mode counts at once.
async fn passable(mode: &mut watch::Receiver<Mode>) {
    let slowed = *mode.borrow_and_update();
    if let Mode::Slow(delay) = slowed {
        let _ = timeout(delay, mode.wait_for(|mode| *mode != slowed)).await;
    }
    // The sender lives in the link, whose end ends this task: waiting cannot fail.
    let _ = mode.wait_for(|mode| *mode != Mode::BlackHole).await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;
    use crate::eventually;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_held_link_closes_what_is_open_and_holds_what_comes_until_it_opens() {
        let broker = TcpListener::bind(local(0)).await.unwrap();
        let link = Link::start(&broker.local_addr().unwrap().to_string()).await;

        let mut client = TcpStream::connect(link.address()).await.unwrap();
        let (mut greeter, _) = broker.accept().await.unwrap();
        greeter.write_all(b"INFO").await.unwrap();
        let mut greeting = [0; 4];
        client.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"INFO");

        link.hold().await;
        assert!(link.is_held());
        assert_eq!(client.read(&mut greeting).await.unwrap_or(0), 0);
        let mut held = TcpStream::connect(link.address()).await.unwrap();
        let nothing = timeout(Duration::from_millis(200), held.read(&mut greeting)).await;
        assert!(nothing.is_err(), "{nothing:?}");

        link.open();
        let (mut greeter, _) = broker.accept().await.unwrap();
        greeter.write_all(b"INFO").await.unwrap();
        held.read_exact(&mut greeting).await.unwrap();

        // Those that wait end with the link.
        link.hold().await;
        let mut held = TcpStream::connect(link.address()).await.unwrap();
        drop(link);
        assert_eq!(held.read(&mut greeting).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn a_client_that_leaves_a_held_link_leaves_nothing_and_never_reaches_the_other_end() {
        let broker = TcpListener::bind(local(0)).await.unwrap();
        let link = Link::start(&broker.local_addr().unwrap().to_string()).await;
        link.hold().await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(TcpStream::connect(link.address()).await.unwrap());
        }
        let open = async |count| match link.connections() {
            connections if connections == count => Ok(()),
            connections => Err(connections),
        };
        eventually(PATIENCE, async || open(3).await).await;
        drop(held);
        eventually(PATIENCE, async || open(0).await).await;

        // The first that comes to the other end is one that is still there.
        link.open();
        let mut stays = TcpStream::connect(link.address()).await.unwrap();
        let (mut greeter, _) = broker.accept().await.unwrap();
        greeter.write_all(b"INFO").await.unwrap();
        stays.read_exact(&mut [0; 4]).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_client_said_before_it_left_a_held_link_arrives() {
        let broker = TcpListener::bind(local(0)).await.unwrap();
        let link = Link::start(&broker.local_addr().unwrap().to_string()).await;
        link.hold().await;
        let mut client = TcpStream::connect(link.address()).await.unwrap();
        client.write_all(b"CONNECT").await.unwrap();
        drop(client);

        // By the time that the link has found out that another is gone, it has looked at this one.
        let silent = TcpStream::connect(link.address()).await.unwrap();
        drop(silent);
        eventually(PATIENCE, async || match link.connections() {
            1 => Ok(()),
            connections => Err(connections),
        })
        .await;
        link.open();
        let accepted = timeout(PATIENCE, broker.accept()).await;
        let (mut server, _) = accepted.expect("it comes").unwrap();
        let mut said = String::new();
        server.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "CONNECT");
    }
}
