//! What this service hears of others: an account that is deleted takes its samples with it, and so does one whose id
//! another account now has.
//!
//! Heard at least once, possibly late, and again from the beginning when the subscription is made anew: what decides is where
//! in the stream a word stands.

use event_bus::lives::{EntityChange, EntityEvent};
use event_bus::{Event, Nonce, Place, Subscription};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::error::StoreError;
use crate::events::{ACCOUNT_CREATED, ACCOUNT_DELETED, ACCOUNT_UPDATED};
use crate::sample::AccountId;
use crate::store::Store;

/// Listens until stopped. An event may come again, and a failed deletion will: deleting twice is deleting once.
pub(crate) async fn hear_accounts(subscription: Subscription, store: Store, stop: CancellationToken) {
    let beginning = store.clone();
    subscription
        .run(
            stop,
            move |end| begin(beginning.clone(), end),
            move |event, place| apply(store.clone(), event, place),
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

async fn apply(store: Store, event: Event, place: Place) -> Result<(), StoreError> {
    let change = match event.kind.as_str() {
        ACCOUNT_CREATED => EntityChange::Created,
        ACCOUNT_UPDATED => EntityChange::Updated,
        ACCOUNT_DELETED => EntityChange::Deleted,
        _ => return Ok(()),
    };
    // Not an error: it would be repeated for ever, and never become a number.
    let Ok(account) = event.entity.parse() else {
        tracing::warn!(id = event.id, "news of no account; skipped");
        return Ok(());
    };
    let heard = EntityEvent {
        change,
        life: life_of(&event),
        incarnation: event.incarnation,
        place,
    };
    store.hear_account(AccountId(account), heard).await
}

/// None: from a program, or of an account, of before there were lives.
fn life_of(event: &Event) -> Option<Nonce> {
    let data: AccountData = serde_json::from_slice(&event.data).unwrap_or_default();
    let life = data.life?.parse().ok()?;
    (life != Nonce::default()).then_some(life)
}
