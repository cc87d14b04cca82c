//! Starting is easy; this is about stopping.

use std::future::pending;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http_edge::ServeOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

async fn send_head(stream: &mut TcpStream) {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_no_new_one_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (reached, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (handler_reached, handler_release) = (Arc::clone(&reached), Arc::clone(&release));
    let held = async move || {
        handler_reached.notify_one();
        handler_release.notified().await;
        "finished"
    };
    let stop = CancellationToken::new();
    let router = Router::new().route("/", get(held));
    let serving = tokio::spawn(http_edge::serve(
        listener,
        router,
        ServeOptions::default(),
        stop.clone(),
    ));

    let mut under_way = TcpStream::connect(address).await.unwrap();
    send_head(&mut under_way).await;
    reached.notified().await;
    stop.cancel();
    // The listener is closed once a connection is refused; then the held one may go on.
    test_support::eventually(Duration::from_secs(5), async || {
        match TcpStream::connect(address).await {
            Ok(_) => Err("a new connection was taken"),
            Err(_) => Ok(()),
        }
    })
    .await;
    release.notify_one();

    let mut answer = String::new();
    under_way.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("finished"), "{answer}");
    timeout(Duration::from_secs(5), serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_ends_does_not_hold_the_stop_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reached = Arc::new(Notify::new());
    let handler_reached = Arc::clone(&reached);
    let never = async move || {
        handler_reached.notify_one();
        pending::<()>().await;
    };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(http_edge::serve(
        listener,
        Router::new().route("/", get(never)),
        ServeOptions::default(),
        stop.clone(),
    ));
    let mut stream = TcpStream::connect(address).await.unwrap();
    send_head(&mut stream).await;
    reached.notified().await;

    let stopped_at = tokio::time::Instant::now();
    stop.cancel();
    serving.await.unwrap().unwrap();
    assert_eq!(stopped_at.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn a_signal_stops() {
    let stop = http_edge::stop_on_signal();
    assert!(!stop.is_cancelled());
    let kill = format!("kill -TERM {}", std::process::id());
    let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(sent.success());
    timeout(Duration::from_secs(5), stop.cancelled()).await.unwrap();
}

/// How many connections try a race that one alone might win.
const MANY: usize = 32;

/// Connects and sends without giving the server a moment to run: this test's runtime has one thread.
fn connect_and_send(address: std::net::SocketAddr) -> std::net::TcpStream {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    stream
}

/// All that comes until the end, which must be no reset.
async fn rest(stream: std::net::TcpStream) -> String {
    stream.set_nonblocking(true).unwrap();
    let mut rest = String::new();
    let mut stream = TcpStream::from_std(stream).unwrap();
    let read = timeout(Duration::from_secs(5), stream.read_to_string(&mut rest)).await;
    read.unwrap().unwrap();
    rest
}

fn is_the_last_answer(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close") && answer.ends_with("here")
}

#[tokio::test]
async fn what_was_sent_before_the_stop_is_answered_also_if_nobody_had_accepted_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let router = Router::new().route("/", get(async || "here"));
    let serving = tokio::spawn(http_edge::serve(
        listener,
        router,
        ServeOptions::default(),
        stop.clone(),
    ));
    // One that is kept alive, and has been answered once.
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut first = vec![0; 1024];
    let read = kept.read(&mut first).await.unwrap();
    assert!(first[..read].ends_with(b"here"));

    let queued: Vec<_> = (0..MANY).map(|_| connect_and_send(address)).collect();
    kept.try_write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    stop.cancel();

    for stream in queued.into_iter().chain([kept.into_std().unwrap()]) {
        let answer = rest(stream).await;
        assert!(is_the_last_answer(&answer), "{answer}");
    }
    timeout(Duration::from_secs(5), serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_request_that_was_on_its_way_at_the_stop_is_answered_and_a_silent_connection_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let router = Router::new().route("/", get(async || "here"));
    let serving = tokio::spawn(http_edge::serve(
        listener,
        router,
        ServeOptions::default(),
        stop.clone(),
    ));
    let silent = TcpStream::connect(address).await.unwrap();
    let mut late = TcpStream::connect(address).await.unwrap();
    stop.cancel();
    test_support::eventually(Duration::from_secs(5), async || {
        match TcpStream::connect(address).await {
            Ok(_) => Err("a new connection was taken"),
            Err(_) => Ok(()),
        }
    })
    .await;
    late.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let answer = rest(late.into_std().unwrap()).await;
    assert!(is_the_last_answer(&answer), "{answer}");
    assert_eq!(rest(silent.into_std().unwrap()).await, "");
    timeout(Duration::from_secs(5), serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_its_whole_body_first() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    // Refuses without a look at the body.
    let refuse = async || axum::http::StatusCode::PAYLOAD_TOO_LARGE;
    let router = Router::new().route("/", axum::routing::post(refuse));
    tokio::spawn(http_edge::serve(
        listener,
        router,
        ServeOptions::default(),
        stop.clone(),
    ));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = vec![b'x'; 16 * 1024 * 1024];
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let answer = rest(stream.into_std().unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    stop.cancel();
}
