//! What this service hears of others: an account that is deleted takes its samples with it, and so does one whose id
//! another account now has.

use event_bus::{Event, Subscription};
use tokio_util::sync::CancellationToken;

use crate::error::StoreError;
use crate::events::{ACCOUNT_CREATED, ACCOUNT_DELETED, ACCOUNT_UPDATED};
use crate::sample::AccountId;
use crate::store::{News, Store};

/// Listens until stopped. An event may come again, and a failed deletion will: deleting twice is deleting once.
pub(crate) async fn hear_accounts(subscription: Subscription, store: Store, stop: CancellationToken) {
    subscription
        .run(
            stop,
            async |_| Ok(()),
            move |event, _| apply(store.clone(), event),
        )
        .await;
}

async fn apply(store: Store, event: Event) -> Result<(), StoreError> {
    let news = match event.kind.as_str() {
        ACCOUNT_CREATED => News::Created,
        ACCOUNT_UPDATED => News::Updated,
        ACCOUNT_DELETED => News::Deleted,
        _ => return Ok(()),
    };
    // Not an error: it would be repeated for ever, and never become a number.
    let Ok(account) = event.entity.parse() else {
        tracing::warn!(id = event.id, "news of no account; skipped");
        return Ok(());
    };
    store
        .hear_account(AccountId(account), news, event.incarnation)
        .await
}
