//! Hears which accounts are deleted, and which are new under an id that another had; deletes what was theirs.
//!
//! Heard at least once, possibly late, and again from the beginning when the subscription is made anew: what decides is where
//! in the stream a word stands.

use event_bus::lives::{EntityChange, EntityEvent};
use event_bus::{Event, Nonce, Place, Subscription};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::endpoint::AccountId;
use crate::error::StoreError;
use crate::store::Store;

const ACCOUNT_CREATED: &str = "dev.reliable-caching.account.created.v1";
const ACCOUNT_UPDATED: &str = "dev.reliable-caching.account.updated.v1";
const ACCOUNT_DELETED: &str = "dev.reliable-caching.account.deleted.v1";

/// Listens until stopped. An event may come again, and a failed deletion will: deleting twice is deleting once.
pub(crate) async fn hear(subscription: Subscription, store: Store, stop: CancellationToken) {
    let beginning = store.clone();
    subscription
        .run(
            stop,
            // Each future owns its store: one that borrowed the closure's could not be spawned.
            move |end| begin(beginning.clone(), end),
            move |event, place| handle(store.clone(), event, place),
        )
        .await;
}

/// What an event of accounts says, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
struct AccountData {
    life: Option<String>,
}

async fn begin(store: Store, end: Place) -> Result<(), StoreError> {
    store.begin(end).await
}

async fn handle(store: Store, event: Event, place: Place) -> Result<(), StoreError> {
    let change = match event.kind.as_str() {
        ACCOUNT_CREATED => EntityChange::Created,
        ACCOUNT_UPDATED => EntityChange::Updated,
        ACCOUNT_DELETED => EntityChange::Deleted,
        _ => return Ok(()),
    };
    // Repeating it would not make it readable, and would hold up those behind it.
    let Ok(id) = event.entity.parse() else {
        tracing::warn!(id = event.id, "news of an account without a number; skipped");
        return Ok(());
    };
    let heard = EntityEvent {
        change,
        life: life_of(&event),
        incarnation: event.incarnation,
        place,
    };
    store.hear_account(AccountId(id), heard).await
}

/// None: from a program, or of an account, of before there were lives.
fn life_of(event: &Event) -> Option<Nonce> {
    let data: AccountData = serde_json::from_slice(&event.data).unwrap_or_default();
    let life = data.life?.parse().ok()?;
    (life != Nonce::default()).then_some(life)
}
