//! Starting is easy; this is about stopping.

use std::future::pending;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

async fn send_head(stream: &mut TcpStream) {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
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
    let serving = tokio::spawn(http_edge::serve(listener, router, stop.clone()));

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
