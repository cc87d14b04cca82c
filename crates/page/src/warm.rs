//! A cold start: what the stream still holds of the past is remembered, so that even a replica that cannot ask anybody
//! has something to show (rule 19).

use std::collections::HashSet;

use bytes::Bytes;
use event_bus::{Event, history::History};
use fresh_cache::{Carried, SourceId};

use crate::caches::Caches;
use crate::config::FailPoint;
use crate::fragment::Fragment;
use crate::hear::{carried, is_deletion};
use crate::source::Source;

/// Reads the past, and remembers the last fragment of each account and source.
pub(crate) async fn warm(mut history: History, caches: Caches, fail_point: Option<FailPoint>) {
    FailPoint::WarmUp.reach(fail_point);
    let mut gone = HashSet::new();
    while let Some((source, event)) = history.next().await {
        let Ok(account) = event.entity.parse::<u64>() else {
            continue;
        };
        if is_deletion(source, &event) {
            // Accounts are never made again, so that nothing said of this one before or after it is worth keeping.
            gone.insert(account);
            forget(&caches, account);
        } else if !gone.contains(&account) {
            remember(&caches, source, account, &event);
        }
    }
    match history.cut_short() {
        None => tracing::info!(changes = history.told(), "warmed up from the stream"),
        Some(reason) => tracing::warn!(
            changes = history.told(),
            reason = reason as &dyn std::error::Error,
            "warmed up from a part of the stream"
        ),
    }
}

fn forget(caches: &Caches, account: u64) {
    for (_, cache) in caches.all() {
        for source in Source::ALL {
            cache.forget_remembered(SourceId(source.index()), account);
        }
    }
}

fn remember(caches: &Caches, source: usize, account: u64, event: &Event) {
    let carried = carried(event);
    if !Fragment::is_carried(&carried) {
        return;
    }
    // Copied, because the event is a slice of all that the broker's client read with it; once for all caches.
    let data = Bytes::copy_from_slice(&carried.data);
    let carried = Carried { data, ..carried };
    for (_, cache) in caches.all() {
        cache.remember(SourceId(source), account, carried.clone());
    }
}
