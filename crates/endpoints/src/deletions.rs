//! Hears which accounts are deleted, and which are new under an id that another had; deletes what was theirs.
//!
//! Heard at least once and possibly late: an endpoint added in between is deleted too, and a repeat changes nothing.

use event_bus::{Broker, Event, Subscription};
use tokio_util::sync::CancellationToken;

use crate::endpoint::AccountId;
use crate::error::StoreError;
use crate::events;
use crate::store::{News, Store};

const ACCOUNTS: &str = "accounts";
const ACCOUNT_CREATED: &str = "dev.reliable-caching.account.created.v1";
const ACCOUNT_UPDATED: &str = "dev.reliable-caching.account.updated.v1";
const ACCOUNT_DELETED: &str = "dev.reliable-caching.account.deleted.v1";

/// Listens to the accounts service until stopped. The broker remembers how far this service got.
pub(crate) async fn hear(store: Store, broker: Broker, stop: CancellationToken) {
    Subscription::new(broker, events::SOURCE, ACCOUNTS)
        // Each future owns its store: one that borrowed the closure's could not be spawned.
        .run(
            stop,
            async |_| Ok(()),
            move |event, _| handle(store.clone(), event),
        )
        .await;
}

async fn handle(store: Store, event: Event) -> Result<(), StoreError> {
    let news = match event.kind.as_str() {
        ACCOUNT_CREATED => News::Created,
        ACCOUNT_UPDATED => News::Updated,
        ACCOUNT_DELETED => News::Deleted,
        _ => return Ok(()),
    };
    // Repeating it would not make it readable, and would hold up those behind it.
    let Ok(id) = event.entity.parse() else {
        tracing::warn!(id = event.id, "news of an account without a number; skipped");
        return Ok(());
    };
    store.hear_account(AccountId(id), news, event.incarnation).await
}
