//! What a watermark says is so.

use std::sync::mpsc;

use event_bus::{Clock, FeedItem};
use group_commit::{Connection, Error};
use jiff::SignedDuration;
use serde_json::value::to_raw_value;
use test_support::NatsServer;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::stack::{Consumer, LONG, Source, announce, announce_carrying, make_stream_of_small_messages};

#[tokio::test]
async fn a_watermark_follows_what_was_committed_before_it_and_is_later_than_it() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source.announce(1).await;
    let acknowledged = jiff::Timestamp::now();
    let mut change_received = false;
    loop {
        match consumer.next().await {
            FeedItem::Change(_) => change_received = true,
            FeedItem::Watermark(watermark) if watermark.complete_until > acknowledged => break,
            _ => {}
        }
    }
    assert!(
        change_received,
        "a watermark later than an acknowledged mutation comes after its event"
    );
}

#[tokio::test]
async fn no_watermark_counts_what_a_limit_left_behind() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    nats.kill();
    let many = |c: &Connection<'_>| {
        for revision in 1..=5000 {
            announce(c, revision)?;
        }
        Ok::<_, Error>(())
    };
    source.database.write(many).await.unwrap();
    nats.restart();
    for revision in 1..=5000 {
        assert_eq!(consumer.change().await.0.revision, revision); // a watermark too early would be a loss: panics
    }
}

#[tokio::test]
async fn a_watermark_waits_for_what_the_stream_refused_at_first() {
    let nats = NatsServer::start();
    make_stream_of_small_messages(&nats).await;
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    // It is found when the relay starts, which is when a watermark is due.
    let large = to_raw_value(&"x".repeat(3000)).unwrap();
    let folder = source.stop_after(move |c| announce_carrying(c, 1, large)).await;
    let _source = Source::start_in(folder, &nats).await;
    let (event, repeat) = consumer.change().await;
    assert_eq!(
        (event.revision, repeat),
        (1, false),
        "a watermark counted it already"
    );
}

/// A source's readers of its database, held one by one.
pub(crate) struct HeldReaders(Vec<mpsc::Sender<()>>);

impl HeldReaders {
    /// Holds all four, so that the relay's next read waits; returns once it does.
    pub(crate) async fn hold(source: &Source, consumer: &mut Consumer) -> Self {
        let held = (0..4).map(|_| Self::queue(source).0).collect();
        consumer.until_silent().await;
        Self(held)
    }

    /// One more reader that waits its turn, says when that has come, and then holds.
    fn queue(source: &Source) -> (mpsc::Sender<()>, oneshot::Receiver<()>) {
        let (release, released) = mpsc::channel();
        let (say, its_turn) = oneshot::channel();
        let database = source.database.clone();
        tokio::spawn(async move {
            let hold = move |_: &Connection<'_>| {
                let _ = say.send(());
                let _ = released.recv();
                Ok::<_, Error>(())
            };
            database.read(hold).await
        });
        (release, its_turn)
    }
}

#[tokio::test]
async fn the_moment_of_a_watermark_is_taken_before_the_outbox_is_read() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    let held = HeldReaders::hold(&source, &mut consumer).await;
    let released = jiff::Timestamp::now();
    drop(held);
    let FeedItem::Watermark(watermark) = consumer.next().await else {
        panic!("a watermark is next")
    };
    assert!(
        watermark.complete_until < released,
        "it was waiting with its moment taken"
    );
}

#[tokio::test]
async fn a_watermark_counts_what_there_was_when_its_rows_were_read() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    let mut held = HeldReaders::hold(&source, &mut consumer).await;
    // The relay reads, and something is committed before anybody could read again.
    let (release, begun) = HeldReaders::queue(&source);
    tokio::task::yield_now().await;
    held.0.pop();
    timeout(LONG, begun).await.expect("the relay has read").unwrap();
    source.announce(1).await;
    drop((release, held));
    assert_eq!(consumer.change().await.0.revision, 1); // a watermark that counts it already would be a loss: panics
}

#[tokio::test]
async fn watermarks_go_on_while_the_writer_is_busy() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source.announce(1).await;
    let (release, held) = std::sync::mpsc::channel::<()>();
    let database = source.database.clone();
    let busy = tokio::spawn(async move {
        database
            .write(move |_| {
                let _ = held.recv();
                Ok::<_, Error>(())
            })
            .await
    });
    let announced = consumer.change().await.0.time;
    for _ in 0..6 {
        let FeedItem::Watermark(_) = consumer.next().await else {
            panic!("only watermarks are due")
        };
    }
    assert!(!busy.is_finished(), "the writer was busy since {announced}");
    drop(release);
    busy.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_source_whose_clock_is_off_dates_its_changes_and_watermarks_by_it() {
    let hour = SignedDuration::from_hours(1);
    for offset in [hour, -hour] {
        let nats = NatsServer::start();
        let clock = Clock::ahead_by_milliseconds(i64::try_from(offset.as_millis()).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let source = Source::start_by(clock, "things", folder, &nats.url()).await;
        let mut consumer = Consumer::start(&nats).await;
        let before = jiff::Timestamp::now() + offset;
        source.announce(1).await;
        let time = consumer.change().await.0.time;
        let FeedItem::Watermark(watermark) = consumer.next().await else {
            panic!("a watermark is next")
        };
        let after = jiff::Timestamp::now() + offset;
        // Both are written with six digits.
        let before = before - SignedDuration::from_micros(1);
        for moment in [time, watermark.complete_until] {
            assert!(before <= moment && moment <= after, "{before} {moment} {after}");
        }
    }
}
