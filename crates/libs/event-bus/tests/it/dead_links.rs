//! A link that is dead and does not say so: the feed is silent, and goes on where it was once the link lives.

use std::time::{Duration, Instant};

use event_bus::{Cause, FeedItem};
use test_support::NatsServer;

use crate::link::Link;
use crate::stack::{Consumer, Source, jetstream};

/// From the link's life to the feed's: measured 0.1 s where the connections live on, 1.3 s where they do not.
const BACK_WITHIN: Duration = Duration::from_secs(4);

/// A source beside the link, a consumer behind it that has received revision 1, and the link just dead.
async fn cut_off(nats: &NatsServer) -> (Source, Consumer, Link) {
    let source = Source::start(nats).await;
    let link = Link::to(&nats.url()).await;
    let mut consumer = Consumer::start_at(&link.url()).await;
    source.publish(7, 1).await;
    assert_eq!(consumer.change().await.0.revision, 1);
    link.die();
    consumer.until_silent().await;
    (source, consumer, link)
}

#[tokio::test]
async fn the_feed_goes_on_where_it_was_when_a_dead_link_heals() {
    let nats = NatsServer::start();
    let (source, mut consumer, link) = cut_off(&nats).await;
    source.publish(7, 2).await;
    source.publish(7, 3).await;
    assert!(
        consumer.received.try_recv().is_err(),
        "nothing passes a dead link"
    );
    link.heal();
    let healed = Instant::now();
    assert_eq!(consumer.change().await.0.revision, 2); // a loss would panic
    assert!(healed.elapsed() < BACK_WITHIN, "took {:?}", healed.elapsed());
    assert_eq!(consumer.change().await.0.revision, 3);
    consumer.nothing_lost_for(8).await;
}

#[tokio::test]
async fn the_feed_goes_on_where_it_was_when_a_dead_link_is_replaced() {
    let nats = NatsServer::start();
    let (source, mut consumer, link) = cut_off(&nats).await;
    source.publish(7, 2).await;
    link.replace();
    let replaced = Instant::now();
    let (event, repeat) = consumer.change().await; // a loss would panic
    assert!(replaced.elapsed() < BACK_WITHIN, "took {:?}", replaced.elapsed());
    assert_eq!((event.revision, repeat), (2, false));
    consumer.nothing_lost_for(8).await;
}

#[tokio::test]
async fn what_a_stream_lost_meanwhile_is_told_before_anything_after_it() {
    let nats = NatsServer::start();
    let (source, mut consumer, link) = cut_off(&nats).await;
    source.publish(7, 2).await;
    let stream = jetstream(&nats).await.get_stream("EVENTS").await.unwrap();
    stream.purge().await.unwrap();
    link.replace();
    match consumer.next().await {
        FeedItem::Loss(loss) => assert_eq!((loss.source, loss.cause), (None, Cause::Stream)),
        other => panic!("{other:?} comes before the loss"),
    }
    source.publish(7, 3).await;
    consumer.until_revision(3).await;
}

#[tokio::test]
async fn a_stream_made_anew_meanwhile_is_noticed_though_it_is_longer_than_the_old_one() {
    let nats = NatsServer::start();
    let (source, mut consumer, link) = cut_off(&nats).await;
    let mut stream = jetstream(&nats).await.get_stream("EVENTS").await.unwrap();
    let old = stream.info().await.unwrap().clone();
    let folder = source.stop().await;
    let jetstream = jetstream(&nats).await;
    jetstream.delete_stream("EVENTS").await.unwrap();
    jetstream.create_stream(old.config).await.unwrap();
    for _ in 0..old.state.last_sequence + 10 {
        let published = jetstream.publish("events.others.1", "".into()).await.unwrap();
        published.await.unwrap();
    }
    let _source = Source::start_in(folder, &nats).await;
    link.replace();
    assert_eq!(consumer.until_loss().await, Cause::Stream);
}

#[tokio::test]
async fn what_the_relay_sent_into_a_dead_link_is_published_when_the_link_is_replaced() {
    let nats = NatsServer::start();
    let link = Link::to(&nats.url()).await;
    let source = Source::start_at("things", tempfile::tempdir().unwrap(), &link.url()).await;
    let mut consumer = Consumer::start(&nats).await;
    // Just behind a watermark: the relay is idle, and sends at once.
    consumer.nothing_lost_for(1).await;
    link.die();
    source.announce(1).await;
    consumer.until_silent().await;
    link.replace();
    let replaced = Instant::now();
    assert_eq!(consumer.change().await.0.revision, 1);
    assert!(replaced.elapsed() < BACK_WITHIN, "took {:?}", replaced.elapsed());
}
