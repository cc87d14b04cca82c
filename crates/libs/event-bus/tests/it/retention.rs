//! How long the stream keeps watermarks.

use std::time::Duration;

use async_nats::HeaderValue;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::Config;
use test_support::{NatsServer, eventually};
use tokio::time::timeout;

use crate::stack::{Consumer, LONG, Source, jetstream, make_stream_of_small_messages};

const WATERMARK: &str = "events.things.watermark";
const TIME_TO_LIVE: &str = "Nats-TTL";
/// A source says something so often.
const EVERY: Duration = Duration::from_millis(250);

/// What is on the watermark's subject once it is so many messages: the first one is the claim.
async fn said(nats: &NatsServer, count: u64) -> Vec<StreamMessage> {
    let jetstream = jetstream(nats).await;
    let stream = eventually(LONG, async || {
        // Whoever is the first to need it makes it.
        let stream = jetstream
            .get_stream("EVENTS")
            .await
            .map_err(|error| error.to_string())?;
        let last = stream.cached_info().state.last_sequence;
        if last >= count {
            Ok(stream)
        } else {
            Err(last.to_string())
        }
    })
    .await;
    let mut messages = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        assert_eq!(message.subject.as_str(), WATERMARK);
        messages.push(message);
    }
    messages
}

fn times_to_live(messages: &[StreamMessage]) -> Vec<Option<&str>> {
    let headers = messages.iter().map(|message| &message.headers);
    headers
        .map(|headers| headers.get(TIME_TO_LIVE).map(HeaderValue::as_str))
        .collect()
}

#[tokio::test]
async fn a_claim_and_the_first_watermark_are_kept_and_those_of_the_same_minute_expire() {
    let nats = NatsServer::start();
    let _source = Source::start(&nats).await;
    let messages = said(&nats, 6).await;
    let expected: Vec<_> = (0..messages.len())
        .map(|place| (place > 1).then_some("60"))
        .collect();
    assert_eq!(times_to_live(&messages), expected);
}

#[tokio::test]
async fn a_stream_that_allows_no_time_to_live_gets_watermarks_without_one() {
    let nats = NatsServer::start();
    make_stream_of_small_messages(&nats).await;
    let _source = Source::start(&nats).await;
    let messages = said(&nats, 5).await;
    assert!(times_to_live(&messages).iter().all(Option::is_none));
}

#[tokio::test]
async fn a_stream_that_was_made_anew_and_allows_no_time_to_live_is_published_to() {
    let nats = NatsServer::start();
    let _source = Source::start(&nats).await;
    said(&nats, 4).await;
    let jetstream = jetstream(&nats).await;
    let plain = Config {
        name: "EVENTS".to_owned(),
        subjects: vec!["events.>".to_owned()],
        ..Config::default()
    };
    // The source makes it too, as soon as it misses it: whoever comes first.
    eventually(LONG, async || {
        let _ = jetstream.delete_stream("EVENTS").await;
        jetstream.create_stream(plain.clone()).await
    })
    .await;
    let messages = said(&nats, 5).await;
    assert!(times_to_live(&messages).iter().all(Option::is_none));
}

#[tokio::test]
async fn a_publisher_whose_last_watermark_expired_while_it_stood_still_claims_again() {
    let nats = NatsServer::start();
    let (source, mut consumer) = (Source::start(&nats).await, Consumer::start(&nats).await);
    let stream = jetstream(&nats).await.get_stream("EVENTS").await.unwrap();
    // Deleted in place of expired: to the broker both are gone. The source may have said more meanwhile, so that it is not the last.
    let again = async {
        loop {
            let last = stream.get_last_raw_message_by_subject(WATERMARK).await.unwrap();
            stream.delete_message(last.sequence).await.unwrap();
            if timeout(2 * EVERY, consumer.until_claimed()).await.is_ok() {
                return;
            }
        }
    };
    timeout(LONG, again).await.unwrap();
    source.announce(1).await;
    consumer.until_revision(1).await;
    consumer.nothing_lost_for(3).await;
}
