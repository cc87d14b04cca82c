//! The faults that the tests inject between processes: each must be what it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::connection::State;
use futures::StreamExt as _;
use stack::Link;
use test_support::NatsServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Long enough for anything to happen that can.
const AT_MOST: Duration = Duration::from_secs(20);

/// A server that sends back what it gets, and a link to it.
async fn link_to_echo() -> Link {
    link_to_counting_echo().await.0
}

/// The same, and how many connections the server was made.
async fn link_to_counting_echo() -> (Link, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            let (mut from, mut to) = connection.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
        }
    });
    (Link::start(&address.to_string()).await, made)
}

async fn connect(link: &Link) -> TcpStream {
    TcpStream::connect(link.address()).await.unwrap()
}

async fn echoed(connection: &mut TcpStream, word: &[u8]) -> Vec<u8> {
    connection.write_all(word).await.unwrap();
    let mut back = vec![0; word.len()];
    connection.read_exact(&mut back).await.unwrap();
    back
}

/// Reads to the end of a connection that is expected to be closed from the other side, by a reset or not.
async fn until_closed(connection: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = timeout(AT_MOST, connection.read_to_end(&mut rest))
        .await
        .expect("it is closed");
    rest
}

/// Sends until nothing more is taken; how much was.
async fn send_until_stuck(connection: &mut TcpStream) -> Vec<u8> {
    let mut sent = Vec::new();
    loop {
        let word: Vec<u8> = (0_u32..4096)
            .map(|number| ((number + 7) % 251).to_le_bytes()[0])
            .collect();
        match timeout(Duration::from_millis(200), connection.write(&word)).await {
            Ok(length) => sent.extend(&word[..length.unwrap()]),
            Err(_) => return sent,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_link_passes_everything_and_the_end_of_each_side() {
    let link = link_to_echo().await;
    let mut connection = connect(&link).await;
    assert_eq!(echoed(&mut connection, b"hello").await, b"hello");
    assert_eq!((link.forwarded(), link.connections()), (10, 1));
    connection.write_all(b"bye").await.unwrap();
    connection.shutdown().await.unwrap();
    assert_eq!(until_closed(&mut connection).await, b"bye");
    test_support::eventually(AT_MOST, async || match link.connections() {
        0 => Ok(()),
        open => Err(format!("{open} connections are open")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_closes_what_is_open_and_what_comes_until_it_is_healed() {
    let link = link_to_echo().await;
    let mut early = connect(&link).await;
    assert_eq!(echoed(&mut early, b"a").await, b"a");
    link.cut().await;
    assert_eq!(link.connections(), 0);
    assert_eq!(until_closed(&mut early).await, b"");
    let mut refused = connect(&link).await;
    assert_eq!(until_closed(&mut refused).await, b"");
    link.open();
    assert_eq!(echoed(&mut connect(&link).await, b"b").await, b"b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_takes_nothing_and_its_end_brings_everything_in_order() {
    let link = link_to_echo().await;
    let mut early = connect(&link).await;
    assert_eq!(echoed(&mut early, b"a").await, b"a");
    let forwarded = link.forwarded();
    link.black_hole();
    let sent = send_until_stuck(&mut early).await;
    assert_eq!(link.forwarded(), forwarded, "nothing passes");
    let mut late = connect(&link).await;
    late.write_all(b"late").await.unwrap();
    link.open();
    let mut back = vec![0; sent.len()];
    timeout(AT_MOST, early.read_exact(&mut back))
        .await
        .expect("it resumes")
        .unwrap();
    assert!(back == sent, "{} bytes came back as others", sent.len());
    let mut word = [0; 4];
    timeout(AT_MOST, late.read_exact(&mut word))
        .await
        .expect("it begins")
        .unwrap();
    assert_eq!(&word, b"late");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_closes_what_is_open_and_a_black_hole_stays_one() {
    let (link, made) = link_to_counting_echo().await;
    let mut early = connect(&link).await;
    assert_eq!(echoed(&mut early, b"a").await, b"a");
    let forwarded = link.forwarded();
    link.black_hole();
    early.write_all(b"lost").await.unwrap();
    link.reset().await;
    assert_eq!(until_closed(&mut early).await, b"");
    let mut late = connect(&link).await;
    send_until_stuck(&mut late).await;
    assert_eq!(
        link.forwarded(),
        forwarded,
        "what was held is lost, and nothing new passes"
    );
    assert_eq!(
        made.load(Ordering::Relaxed),
        1,
        "nor is a connection made behind it"
    );
    link.reset().await;
    link.open();
    assert_eq!(echoed(&mut connect(&link).await, b"b").await, b"b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_delays_each_way_and_its_end_ends_the_delay() {
    let link = link_to_echo().await;
    let mut connection = connect(&link).await;
    assert_eq!(echoed(&mut connection, b"a").await, b"a");
    let delay = Duration::from_millis(60);
    link.slow(delay);
    let begun = Instant::now();
    assert_eq!(echoed(&mut connection, b"b").await, b"b");
    assert!(begun.elapsed() >= 2 * delay, "{:?}", begun.elapsed());
    link.slow(Duration::from_hours(1));
    let waiting = timeout(Duration::from_millis(200), echoed(&mut connection, b"c")).await;
    assert!(waiting.is_err(), "an hour has not passed");
    link.open();
    let mut word = [0; 1];
    timeout(AT_MOST, connection.read_exact(&mut word))
        .await
        .expect("it is let go")
        .unwrap();
    assert_eq!(&word, b"c");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_broker_finds_no_way_around_a_link() {
    let nats = NatsServer::start();
    let link = Link::start(&nats.url()).await;
    let client = async_nats::connect(link.url()).await.unwrap();
    link.cut().await;
    until_state(&client, State::Disconnected).await;
    link.open();
    until_state(&client, State::Connected).await;
    assert_eq!(link.connections(), 1, "it came back through the link");
    let mut subscription = client.subscribe("word").await.unwrap();
    client.flush().await.unwrap();
    link.black_hole();
    client.publish("word", "a".into()).await.unwrap();
    let received = timeout(Duration::from_millis(300), subscription.next()).await;
    assert!(received.is_err(), "nothing passes: {received:?}");
    assert_eq!(
        client.connection_state(),
        State::Connected,
        "nobody is told of a black hole"
    );
    link.open();
    let received = timeout(AT_MOST, subscription.next()).await.expect("it resumes");
    assert_eq!(received.unwrap().payload, "a");
}

async fn until_state(client: &async_nats::Client, wanted: State) {
    test_support::eventually(AT_MOST, async || match client.connection_state() {
        state if state == wanted => Ok(()),
        state => Err(format!("it is {state:?}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_several_addresses_leads_to_the_first_that_listens() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let deaf = nobody.local_addr().unwrap();
    drop(nobody);
    let echo = link_to_echo().await;
    let link = Link::start(&format!("{deaf},{}", echo.address())).await;
    assert_eq!(echoed(&mut connect(&link).await, b"word").await, b"word");
}
