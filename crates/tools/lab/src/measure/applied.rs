//! From commit to applied: the way an event takes into a replica's feed state, in the replica's own code.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use event_bus::{Broker, ChangeKind, Feed, FeedItem, Topology};
use fresh_cache::{FeedOptions, FeedState, FeedWriter, Moment, SourceId, feed};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::latency::Latency;
use stack::sources::{AccountId, Revision};
use stack::{STREAM, SUBJECT_PREFIX};

const ACCOUNTS: SourceId = SourceId(0);

/// A feed and a feed state of its own, as one more replica.
pub(super) struct Applied {
    so_far: watch::Receiver<AppliedSoFar>,
    _stop: DropGuard,
}

#[derive(Debug)]
pub(super) struct AppliedSoFar {
    /// From the date of each event, which its transaction gave it before the sync to disk.
    pub(super) since_dated: Latency,
    /// When each revision was applied.
    pub(super) at: BTreeMap<Revision, Instant>,
}

impl AppliedSoFar {
    /// From the answer of each write, if its event was not applied before that.
    pub(super) fn since_answered(&self, answered: &[(Revision, Instant)]) -> Latency {
        let mut latency = Latency::new();
        for (revision, answered) in answered {
            if let Some(applied) = self.at.get(revision) {
                latency.record(applied.saturating_duration_since(*answered));
            }
        }
        latency
    }
}

impl Applied {
    /// Listens, and returns once the replica would trust the source: then nothing that follows is missed.
    pub(super) async fn listen(nats_url: &str, account: AccountId) -> Result<Self> {
        let topology = Topology {
            stream: STREAM.to_owned(),
            prefix: SUBJECT_PREFIX.to_owned(),
        };
        let broker = Broker::connect(nats_url, "lab-measure", topology).await?;
        let (state, mut writer) = feed::channel(1, FeedOptions::default());
        let (write, so_far) = watch::channel(AppliedSoFar {
            since_dated: Latency::new(),
            at: BTreeMap::new(),
        });
        let stop = CancellationToken::new();
        let feed = Feed::new(broker, &["accounts"]);
        tokio::spawn(feed.run(stop.clone(), move |message| {
            apply(&mut writer, &message, account, &write);
        }));
        timeout(Duration::from_secs(10), until_trusted(&state)).await.with_context(|| {
            format!("no watermark of the accounts service arrived at {nats_url}: is the stack up (scripts/up)?")
        })?;
        Ok(Self {
            so_far,
            _stop: stop.drop_guard(),
        })
    }

    /// What was applied, once the event of `revision` was applied.
    pub(super) async fn until(&mut self, revision: Revision) -> Result<watch::Ref<'_, AppliedSoFar>> {
        let last = |so_far: &AppliedSoFar| so_far.at.keys().next_back().copied();
        Ok(self
            .so_far
            .wait_for(|so_far| last(so_far) >= Some(revision))
            .await?)
    }
}

async fn until_trusted(feed: &FeedState) {
    while !feed.trusted(ACCOUNTS) {
        sleep(Duration::from_millis(10)).await;
    }
}

/// What a replica does with a message, and then a look at the clock.
fn apply(
    writer: &mut FeedWriter<u64>,
    message: &FeedItem,
    account: AccountId,
    write: &watch::Sender<AppliedSoFar>,
) {
    match message {
        FeedItem::Loss(_) => writer.lost(ACCOUNTS),
        FeedItem::Watermark(watermark) => writer.watermark(ACCOUNTS, moment(watermark.complete_until)),
        FeedItem::Claimed(_) | FeedItem::Foreign { .. } => {}
        FeedItem::Change(change) => {
            let Ok(entity) = change.event.entity.parse::<u64>() else {
                return writer.lost(ACCOUNTS);
            };
            writer.changed(ACCOUNTS, &entity);
            let (now, since_dated) = (Instant::now(), Timestamp::now().duration_since(change.event.time));
            if entity == account && change.kind == ChangeKind::New {
                write.send_modify(|so_far| {
                    so_far.since_dated.record(since_dated.unsigned_abs());
                    so_far.at.insert(change.event.revision, now);
                });
            }
        }
    }
}

fn moment(timestamp: Timestamp) -> Moment {
    Moment::from_micros(u64::try_from(timestamp.as_microsecond()).unwrap_or(0))
}
