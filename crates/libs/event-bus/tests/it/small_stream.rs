//! A broker with less room than the stream wants.

use test_support::NatsServer;

use crate::stack::{Consumer, Source, jetstream};

async fn max_bytes(nats: &NatsServer) -> i64 {
    let mut stream = jetstream(nats).await.get_stream("EVENTS").await.unwrap();
    stream.info().await.unwrap().config.max_bytes
}

fn server_with_room(max_file_store: &str) -> NatsServer {
    NatsServer::start_set(&format!(
        "jetstream {{ store_dir: $NATS_STORE_DIR, max_file_store: {max_file_store} }}"
    ))
}

#[tokio::test]
async fn a_broker_with_room_gets_a_stream_of_a_gibibyte() {
    let nats = server_with_room("1GiB");
    let (source, mut consumer) = (Source::start(&nats).await, Consumer::start(&nats).await);
    source.announce(1).await;
    consumer.until_revision(1).await;
    assert_eq!(max_bytes(&nats).await, 1 << 30);
}

#[tokio::test]
async fn a_broker_with_less_room_gets_a_smaller_stream_and_changes_are_received() {
    for (room, expected) in [("900MB", 256 << 20), ("20MB", 16 << 20)] {
        let nats = server_with_room(room);
        let (source, mut consumer) = (Source::start(&nats).await, Consumer::start(&nats).await);
        source.announce(1).await;
        consumer.until_revision(1).await;
        assert_eq!(max_bytes(&nats).await, expected, "{room}");
    }
}
