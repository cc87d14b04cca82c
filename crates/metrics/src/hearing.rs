//! What this service hears of others: an account that is deleted takes its samples with it.

use event_bus::{Event, Subscription};
use tokio_util::sync::CancellationToken;

use crate::error::StoreError;
use crate::events::ACCOUNT_DELETED;
use crate::sample::AccountId;
use crate::store::Store;

/// Listens until stopped. An event may come again, and a failed deletion will: deleting twice is deleting once.
pub(crate) async fn hear_accounts(subscription: Subscription, store: Store, stop: CancellationToken) {
    subscription
        .run(stop, move |event| apply(store.clone(), event))
        .await;
}

async fn apply(store: Store, event: Event) -> Result<(), StoreError> {
    if event.kind != ACCOUNT_DELETED {
        return Ok(());
    }
    // Not an error: it would be repeated for ever, and never become a number.
    let Ok(account) = event.entity.parse() else {
        tracing::warn!(id = event.id, "a deletion of no account; skipped");
        return Ok(());
    };
    store.delete_account(AccountId(account)).await
}
