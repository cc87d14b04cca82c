//! What is said of a broker that cannot be used, and that it is used as soon as it can be.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use event_bus::{Broker, Feed};
use test_support::{NatsServer, eventually};
use tokio_util::sync::CancellationToken;

use crate::stack::{Consumer, LONG, Source, topology};

/// A replica's broker, which tells how it is.
struct Replica {
    broker: Broker,
    _stop: tokio_util::sync::DropGuard,
}

impl Replica {
    async fn start(url: &str) -> Self {
        let broker = Broker::connect(url, "replica", topology()).await.unwrap();
        let stop = CancellationToken::new();
        let feed = Feed::new(broker.clone(), &["things"]);
        tokio::spawn(feed.run(stop.clone(), drop));
        Self {
            broker,
            _stop: stop.drop_guard(),
        }
    }

    async fn until_connected(&self) {
        eventually(LONG, async || {
            let said = self.broker.trouble().to_string();
            (said == "the broker is connected").then_some(()).ok_or(said)
        })
        .await;
    }

    async fn until_it_says(&self, wanted: &str) {
        eventually(LONG, async || {
            let said = self.broker.trouble().to_string();
            said.starts_with(wanted).then_some(()).ok_or(said)
        })
        .await;
    }
}

/// The broker answers, then is restarted with these settings, then with the usual ones.
async fn said_while(settings: &str, user: &str, wanted: &str) {
    let mut nats = NatsServer::start();
    let url = nats.url().replace("nats://", &format!("nats://{user}"));
    let replica = Replica::start(&url).await;
    replica.until_connected().await;
    nats.kill();
    replica
        .until_it_says("the broker is away: the connection is refused: nothing listens there (start")
        .await;
    nats.wipe();
    nats.restart_set(settings);
    replica.until_it_says(wanted).await;
    nats.restart_set(NatsServer::JETSTREAM);
    replica.until_connected().await;
}

#[tokio::test]
async fn a_wrong_password_is_said() {
    let settings = "authorization { user: me, password: right }";
    let wanted = "the broker refuses this service: it does not accept the user and the password (compare";
    said_while(settings, "me:wrong@", wanted).await;
    said_while(settings, "", wanted).await;
}

#[tokio::test]
async fn jetstream_off_is_said() {
    let wanted =
        "the broker is connected, but the stream cannot be used: JetStream is off, or has no leader (start";
    said_while("debug: false", "", wanted).await;
}

#[tokio::test]
async fn no_room_for_any_stream_is_said() {
    let settings = "jetstream { store_dir: $NATS_STORE_DIR, max_file_store: 1MB }";
    let wanted = "the broker is connected, but the stream cannot be used: the broker has no room for the stream (raise";
    said_while(settings, "", wanted).await;
}

#[tokio::test]
async fn too_many_connections_are_said() {
    let nats = NatsServer::start_set(&format!("{}max_connections: 1", NatsServer::JETSTREAM));
    let first = Replica::start(&nats.url()).await;
    first.until_connected().await;
    let second = Replica::start(&nats.url()).await;
    second
        .until_it_says("the broker refuses this service: it has as many connections as it may have (raise")
        .await;
    drop(first);
    second.until_connected().await;
}

#[tokio::test]
async fn what_the_broker_forbids_is_said() {
    let nats = NatsServer::start_set(&format!(
        "{}authorization {{ users: [ {{ user: me, password: p, permissions: {{ publish: \"none\", subscribe: \"_INBOX.me.>\" }} }} ] }}",
        NatsServer::JETSTREAM
    ));
    let replica = Replica::start(&nats.url().replace("nats://", "nats://me:p@")).await;
    let wanted = "the broker is connected, but the stream cannot be used: nats: Permissions Violation for Publish to \
                  \"$JS.API.STREAM.INFO.EVENTS\" (give";
    replica.until_it_says(wanted).await;
}

/// What listens where a broker should. It ends when dropped.
struct Odd {
    port: u16,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Odd {
    /// Each connection is handed to `treat`.
    fn listen(port: u16, treat: fn(&mut TcpStream)) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let thread = std::thread::spawn(move || {
            let mut open = Vec::new();
            for connection in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut connection) = connection else { continue };
                treat(&mut connection);
                open.push(connection);
            }
        });
        Self {
            port,
            ended,
            thread: Some(thread),
        }
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn say(connection: &mut TcpStream, words: &[u8]) {
    // The other end may have gone.
    let _ = connection.write_all(words);
}

const GREETING: &[u8] = b"INFO {\"server_id\":\"x\",\"server_name\":\"x\",\"version\":\"2.10.0\",\"go\":\"\",\"host\":\"h\",\"port\":1,\"headers\":true,\"max_payload\":1048576,\"proto\":1}\r\n";

fn greet(connection: &mut TcpStream) {
    say(connection, GREETING);
    let _ = connection.set_read_timeout(Some(Duration::from_secs(1)));
    let _ = connection.read(&mut [0; 1024]);
    say(connection, b"PONG\r\n");
}

/// Who listens first on the broker's port is survived: changes are received soon after the broker listens there.
async fn survived(treat: fn(&mut TcpStream), wanted: &str) {
    let odd = Odd::listen(0, treat);
    let replica = Replica::start(&odd.url()).await;
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start_at("things", folder, &odd.url()).await;
    source.announce(1).await;
    replica.until_it_says(wanted).await;
    let port = odd.port;
    drop(odd);
    let nats = NatsServer::start_on(port);
    replica.until_connected().await;
    source.until_published().await;
    let mut consumer = Consumer::start(&nats).await;
    source.announce(2).await;
    consumer.until_revision(2).await;
}

#[tokio::test]
async fn a_listener_that_says_nothing_is_survived() {
    survived(|_| {}, "the broker is away: nobody answers there").await;
}

#[tokio::test]
async fn a_listener_that_closes_at_once_is_survived() {
    let close = |connection: &mut TcpStream| drop(connection.shutdown(std::net::Shutdown::Both));
    survived(
        close,
        "the broker cannot be used: what listens there does not greet",
    )
    .await;
}

#[tokio::test]
async fn an_http_server_is_survived() {
    let answer = |connection: &mut TcpStream| say(connection, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    survived(
        answer,
        "the broker cannot be used: what listens there does not greet",
    )
    .await;
}

#[tokio::test]
async fn a_listener_that_talks_rubbish_is_survived() {
    let rubbish = |connection: &mut TcpStream| say(connection, &[0xff, 0x00, 0x0d, 0x0a, 0x80].repeat(1000));
    survived(
        rubbish,
        "the broker cannot be used: what listens there does not greet",
    )
    .await;
}

#[tokio::test]
async fn a_broker_that_hangs_up_again_and_again_is_survived() {
    let kick = |connection: &mut TcpStream| {
        greet(connection);
        drop(connection.shutdown(std::net::Shutdown::Both));
    };
    survived(
        kick,
        "the broker cannot be used: it hung up as soon as it was connected",
    )
    .await;
}

/// The client library panics at this, in its own task.
const DEADLY: &[u8] = b"-ERR\r\n";

#[tokio::test]
async fn a_client_whose_task_panics_at_the_greeting_is_replaced() {
    let kill = |connection: &mut TcpStream| say(connection, DEADLY);
    survived(kill, "the broker cannot be used: the NATS client ended by itself").await;
}

#[tokio::test]
async fn a_client_whose_task_panics_later_is_replaced() {
    let kill = |connection: &mut TcpStream| {
        greet(connection);
        say(connection, DEADLY);
    };
    survived(kill, "the broker cannot be used: the NATS client ended by itself").await;
}

#[tokio::test]
async fn a_client_that_ends_is_not_taken_for_connected_and_a_new_one_receives_again() {
    let mut nats = NatsServer::start();
    let (source, mut consumer) = (Source::start(&nats).await, Consumer::start(&nats).await);
    source.announce(1).await;
    consumer.until_revision(1).await;
    nats.kill();
    let port = nats.url().rsplit(':').next().unwrap().parse().unwrap();
    let odd = Odd::listen(port, |connection| {
        greet(connection);
        say(connection, DEADLY);
    });
    let replica = Replica::start(&odd.url()).await;
    replica
        .until_it_says("the broker cannot be used: the NATS client ended by itself")
        .await;
    drop(odd);
    nats.restart();
    source.announce(2).await;
    consumer.until_revision(2).await;
}
