//! A cold start: what the stream still holds of the past is remembered, so that even a replica that cannot ask anybody
//! has something to show (rule 19).

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use event_bus::{Event, history::History};
use fresh_cache::{EventFragment, SourceId};

use crate::caches::Caches;
use crate::config::FailPoint;
use crate::consumer::{event_fragment, is_deletion};
use crate::fragment::Fragment;
use crate::key::AccountId;
use crate::source::Source;

/// Reads the past, and remembers the last fragment of each account and source. The clocks of the sources may differ by the
/// skew.
///
/// A fragment is shown with the date of its event. If the source's clock was ahead, that date may claim writes that the
/// fragment lacks. So a fragment whose event claims to be from after its publication is not remembered (rule 23).
pub(crate) async fn warm(
    mut history: History,
    skew: Duration,
    caches: Caches,
    fail_point: Option<FailPoint>,
) {
    FailPoint::WarmUp.reach(fail_point);
    let mut gone = HashSet::new();
    let mut dated_ahead = 0_usize;
    while let Some(change) = history.next().await {
        let Ok(account) = change.event.entity.parse::<u64>().map(AccountId::of) else {
            continue;
        };
        if is_deletion(change.source, &change.event) {
            // Within an incarnation an id is not given out again, so nothing said of this account is worth keeping.
            gone.insert(account);
            forget(&caches, account);
        } else if change.is_dated_ahead(skew) {
            dated_ahead += 1;
        } else if !gone.contains(&account) {
            remember(&caches, change.source, account, &change.event);
        }
    }
    if dated_ahead > 0 {
        tracing::warn!(
            changes = dated_ahead,
            "not remembered from the stream, because they are dated after their publication: the clock of a source or of the broker \
             was wrong. Look at the time service of their machines"
        );
    }
    match history.cut_short() {
        None => tracing::info!(changes = history.told(), "warmed up from the stream"),
        Some(reason) => tracing::warn!(
            changes = history.told(),
            reason = reason as &dyn std::error::Error,
            "warmed up from one section of the stream"
        ),
    }
}

fn forget(caches: &Caches, account: AccountId) {
    for (_, cache) in caches.all() {
        for source in Source::ALL {
            cache.forget_remembered(SourceId(source.index()), account);
        }
    }
}

fn remember(caches: &Caches, source: usize, account: AccountId, event: &Event) {
    let fragment = event_fragment(event);
    if !Fragment::is_in(&fragment) {
        return;
    }
    // Copied, because the event is a slice of all that the broker's client read with it; once for all caches.
    let data = Bytes::copy_from_slice(&fragment.data);
    let fragment = EventFragment { data, ..fragment };
    for (_, cache) in caches.all() {
        cache.remember(SourceId(source), account, fragment.clone());
    }
}
