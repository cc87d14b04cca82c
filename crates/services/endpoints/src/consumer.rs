//! Applies the events of accounts: deletes the endpoints of an account that is deleted, or whose id another account has now.
//!
//! An event comes at least once, possibly late, and again from the beginning when the subscription is made anew: what decides is
//! its place in the stream.

use event_bus::lives::{EntityChange, EntityEvent};
use event_bus::{Event, Nonce, Place, Subscription};
use serde::Deserialize;
use source_service::event_type;
use tokio_util::sync::CancellationToken;

use crate::endpoint::AccountId;
use crate::error::Error;
use crate::store::Store;

const ACCOUNT_CREATED: &str = event_type!("account.created");
const ACCOUNT_UPDATED: &str = event_type!("account.updated");
const ACCOUNT_DELETED: &str = event_type!("account.deleted");

/// Runs until stopped. An event may come again, and one whose deletion failed does: to delete twice is to delete once.
pub(crate) async fn run(subscription: Subscription, store: Store, stop: CancellationToken) {
    let beginning = store.clone();
    subscription
        .run(
            stop,
            // Each future owns its store: one that borrowed the closure's could not be spawned.
            move |end| begin(beginning.clone(), end),
            move |event, place| apply(store.clone(), event, place),
        )
        .await;
}

/// The part of an event of accounts that matters here.
#[derive(Debug, Default, Deserialize)]
struct AccountData {
    life: Option<String>,
}

async fn begin(store: Store, end: Place) -> Result<(), Error> {
    store.begin(end).await
}

async fn apply(store: Store, event: Event, place: Place) -> Result<(), Error> {
    let change = match event.kind.as_str() {
        ACCOUNT_CREATED => EntityChange::Created,
        ACCOUNT_UPDATED => EntityChange::Updated,
        ACCOUNT_DELETED => EntityChange::Deleted,
        _ => return Ok(()),
    };
    // A repeat would not make it readable, and would hold up the events behind it.
    let Ok(id) = event.entity.parse() else {
        tracing::warn!(id = event.id, "skipped an event whose subject names no account");
        return Ok(());
    };
    let event = EntityEvent {
        change,
        life: life_of(&event),
        incarnation: event.incarnation,
        place,
    };
    store.apply(AccountId(id), event).await
}

/// None: the program, or the account, is older than lives.
fn life_of(event: &Event) -> Option<Nonce> {
    let data: AccountData = serde_json::from_slice(&event.data).unwrap_or_default();
    let life = data.life?.parse().ok()?;
    (life != Nonce::default()).then_some(life)
}
