//! A source that keeps data for the entities of another source, and applies the events of that one.
//!
//! Events arrive at least once, perhaps late. A new subscription replays all of them. So what an event changes is decided by its
//! place in the stream: [`event_bus::lives`].

use std::fmt::Display;

use event_bus::lives::{EntityChange, EntityEvent};
use event_bus::{Event, Nonce, Place, Subscription};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

/// The types of the events of another source's entity. Events of other types are passed over.
#[derive(Debug, Clone, Copy)]
pub struct EntityEventTypes {
    /// It is new.
    pub created: &'static str,
    /// It has new data.
    pub updated: &'static str,
    /// It has ended.
    pub deleted: &'static str,
}

/// Keeps data for the entities of another source: the service's store.
pub trait Follower: Clone + Send + Sync + 'static {
    /// Why an event was not applied. It comes again.
    type Error: Display + Send;

    /// Takes note that what the other source published up to this place is past.
    fn begin(&self, place: Place) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Applies an event of the entity. A repeat does nothing.
    fn apply(&self, entity: i64, event: EntityEvent) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The part of an event that matters here.
#[derive(Debug, Default, Deserialize)]
struct EntityData {
    life: Option<String>,
}

/// Runs until stopped.
pub(crate) async fn follow(
    subscription: Subscription,
    types: EntityEventTypes,
    follower: impl Follower,
    stop: CancellationToken,
) {
    let beginning = follower.clone();
    // Each future owns its follower: one that borrowed the closure's could not be spawned.
    let begin = move |end| {
        let follower = beginning.clone();
        async move { follower.begin(end).await }
    };
    let apply = move |event, place| apply(follower.clone(), types, event, place);
    subscription.run(stop, begin, apply).await;
}

async fn apply<F: Follower>(
    follower: F,
    types: EntityEventTypes,
    event: Event,
    place: Place,
) -> Result<(), F::Error> {
    let change = match event.kind.as_str() {
        kind if kind == types.created => EntityChange::Created,
        kind if kind == types.updated => EntityChange::Updated,
        kind if kind == types.deleted => EntityChange::Deleted,
        _ => return Ok(()),
    };
    // Do not retry: the subject would stay unreadable and block the events behind it.
    let Ok(entity) = event.entity.parse() else {
        tracing::warn!(id = event.id, "skipped an event whose subject names no entity");
        return Ok(());
    };
    let event = EntityEvent {
        change,
        life: life_of(&event),
        incarnation: event.incarnation,
        place,
    };
    follower.apply(entity, event).await
}

/// `None` if the source's program or the entity predates lives.
fn life_of(event: &Event) -> Option<Nonce> {
    let data: EntityData = serde_json::from_slice(&event.data).unwrap_or_default();
    let life = data.life?.parse().ok()?;
    (life != Nonce::default()).then_some(life)
}
