//! What a watermark says is so.

use std::time::Duration;

use event_bus::{Clock, Heard};
use group_commit::Error;
use jiff::SignedDuration;
use test_support::NatsServer;
use tokio::time::timeout;

use crate::rig::{Hearer, Source, announce};

#[tokio::test]
async fn a_watermark_follows_what_was_committed_before_it_and_is_later_than_it() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    source.announce(1).await;
    let acknowledged = jiff::Timestamp::now();
    let mut change_heard = false;
    loop {
        match hearer.next().await {
            Heard::Change(_) => change_heard = true,
            Heard::Watermark(watermark) if watermark.complete_until > acknowledged => break,
            _ => {}
        }
    }
    assert!(
        change_heard,
        "a watermark later than an acknowledged mutation comes after its event"
    );
}

#[tokio::test]
async fn no_watermark_counts_what_a_limit_left_behind() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    nats.kill();
    let many = |c: &rusqlite::Connection| {
        for revision in 1..=5000 {
            announce(c, revision)?;
        }
        Ok::<_, Error>(())
    };
    source.database.write(many).await.unwrap();
    nats.restart();
    for revision in 1..=5000 {
        assert_eq!(hearer.change().await.0.revision, revision); // a watermark too early would be a loss: panics
    }
}

#[tokio::test]
async fn the_moment_of_a_watermark_is_taken_before_the_outbox_is_read() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    // All four readers are held, so that the relay's next read waits.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let held: Vec<_> = (0..4)
        .map(|_| {
            let (database, wait) = (source.database.clone(), wait.clone());
            tokio::spawn(async move {
                database
                    .read(move |_| {
                        let _ = wait.lock().unwrap().recv();
                        Ok::<_, Error>(())
                    })
                    .await
            })
        })
        .collect();
    // until the watermarks stop: the relay waits for a reader
    while timeout(Duration::from_millis(600), hearer.heard.recv())
        .await
        .is_ok()
    {}
    let released = jiff::Timestamp::now();
    drop(go);
    for held in held {
        held.await.unwrap().unwrap();
    }
    let Heard::Watermark(watermark) = hearer.next().await else {
        panic!("a watermark is next")
    };
    assert!(
        watermark.complete_until < released,
        "it was waiting with its moment taken"
    );
}

#[tokio::test]
async fn watermarks_go_on_while_the_writer_is_busy() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
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
    let announced = hearer.change().await.0.time;
    for _ in 0..6 {
        let Heard::Watermark(_) = hearer.next().await else {
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
        let mut hearer = Hearer::start(&nats).await;
        let before = jiff::Timestamp::now() + offset;
        source.announce(1).await;
        let time = hearer.change().await.0.time;
        let Heard::Watermark(watermark) = hearer.next().await else {
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
