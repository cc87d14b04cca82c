//! Publishes the outbox in order, and says up to which moment everything was published.

mod claiming;
mod options;
mod progress;
mod publishing;
mod retention;
mod rows;
mod tenure;

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamError, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::LastRawMessageError;
use bytes::Bytes;
use group_commit::Database;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use self::claiming::{error_code, is_refusal};
pub use self::options::{FailPoint, RelayOptions};
use self::progress::Progress;
pub use self::publishing::Publishing;
use self::publishing::Standing;
use self::retention::Retention;
use self::tenure::{Held, Tenure};
use crate::Broker;
use crate::event;
use crate::outage::Seldom;
use crate::outbox::{self, Acknowledged, Snapshot};
use crate::trouble::Stage;

/// How often a source says up to when it is complete. A consumer that misses four of these stops trusting.
const WATERMARK_EVERY: Duration = Duration::from_millis(250);
/// Rows published before their acknowledgements are awaited together.
const BATCH: usize = 256;

/// How long the first connection may take before it counts as an outage.
const PATIENCE_AT_START: Duration = Duration::from_secs(2);

/// The one publisher of a source. It wakes on every commit, and also polls.
#[derive(Debug)]
pub struct Relay {
    database: Database,
    broker: Broker,
    options: RelayOptions,
    tenure: Tenure,
    retention: Retention,
    /// For those who answer readers and writers.
    standing: watch::Sender<Standing>,
    /// What is acknowledged. A cursor is safe here, and only here: one writer gives the sequences out in the order of its
    /// commits, so that within an incarnation nothing below it can still appear.
    acknowledged: watch::Sender<Option<Acknowledged>>,
    progress: Progress,
    /// Limits the log: every row may be too large.
    seldom: Seldom,
}

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the outbox cannot be used")]
    Outbox(#[from] group_commit::Error),
    #[error("the broker did not take a message")]
    Publish(#[from] PublishError),
    #[error("the stream cannot be created")]
    Stream(#[from] CreateStreamError),
    #[error(
        "the last watermark cannot be read; the broker's user needs permission to read messages of the stream"
    )]
    LastWord(#[from] LastRawMessageError),
    #[error("the operating system gives no random numbers")]
    NoRandomNumbers,
    #[error("NATS is not connected")]
    Disconnected,
}

impl Relay {
    /// A relay of what `database` announces.
    pub fn new(database: Database, broker: Broker, options: RelayOptions) -> Self {
        let standing = watch::Sender::new(Standing::Waiting);
        Self {
            progress: Progress::new(Publishing(standing.subscribe())),
            database,
            broker,
            options,
            tenure: Tenure::new(options.takes_over),
            retention: Retention::default(),
            standing,
            acknowledged: watch::Sender::new(None),
            seldom: Seldom::default(),
        }
    }

    /// Tells whether this relay publishes, for as long as it runs.
    pub fn publishing(&self) -> Publishing {
        Publishing(self.standing.subscribe())
    }

    /// Publishes until stopped. Nothing that fails ends it: what was not acknowledged is still in the outbox.
    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = timeout(PATIENCE_AT_START, self.broker.first_connection()) => {}
        }
        let mut tidying = tokio::spawn(tidy(self.database.clone(), self.acknowledged.subscribe()));
        let mut commits = self.database.commits();
        let mut tick = interval(WATERMARK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let watermark_due = tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => true,
                Ok(()) = commits.changed() => false,
                // Alone it would end unnoticed, and the outbox grow for ever.
                Err(ended) = &mut tidying => panic!("the outbox is not tidied any more: {ended}"),
            };
            // Not raced against `stop`: a batch that is cut short would be published again at the next start.
            let result = self.publish_pending(watermark_due, &stop).await;
            self.note(result).await;
        }
    }

    /// Rule 3, in this order: hold the claim, take T, then read the rows and the counter in one snapshot, publish, await every
    /// acknowledgement; only then may the watermark say that all before T is out.
    async fn publish_pending(
        &mut self,
        watermark_due: bool,
        stop: &CancellationToken,
    ) -> Result<(), RelayError> {
        while !stop.is_cancelled() {
            // Asked before publishing: the client would keep messages of an outage and send them after it.
            if !self.broker.connected() {
                return Err(RelayError::Disconnected);
            }
            let Some(held) = self.hold().await? else {
                return Ok(());
            };
            let taken_at = self.options.clock.now();
            let acknowledged = *self.acknowledged.borrow();
            let mut snapshot = outbox::pending_after(&self.database, acknowledged, BATCH).await?;
            self.progress.note(&snapshot);
            snapshot
                .rows
                .iter_mut()
                .for_each(|row| self.options.clock.redate(row));
            self.publish(&snapshot, held).await?;
            if snapshot.rows.len() == BATCH {
                continue; // more may be waiting, and T would not cover them
            }
            self.progress.note_none();
            if watermark_due {
                self.publish_watermark(&snapshot, held, taken_at).await?;
            }
            break;
        }
        Ok(())
    }

    /// The first row goes out alone, and only if our claim is still the last message of the watermark's subject. The others
    /// follow together, unguarded: a cluster takes one guarded message at a time, so they would wait for each other. So a
    /// publisher that was replaced can still send the rest of one batch. Such events raise fences and make nothing fresh (rule 21).
    async fn publish(&self, snapshot: &Snapshot, held: Held) -> Result<(), RelayError> {
        let Some((first, rest)) = snapshot.rows.split_first() else {
            return Ok(());
        };
        self.fail_at(FailPoint::BeforePublish);
        assert!(
            self.options.fail_point != Some(FailPoint::Panic),
            "fail point reached"
        );
        let sent = self.send(snapshot, held, first, Some(held.last)).await?;
        self.await_acknowledgement(snapshot, held, first, Some(held.last), sent)
            .await?;
        let mut under_way = Vec::with_capacity(rest.len());
        for row in rest {
            under_way.push((row, self.send(snapshot, held, row, None).await?));
        }
        for (row, sent) in under_way {
            self.await_acknowledgement(snapshot, held, row, None, sent)
                .await?;
        }
        Ok(())
    }

    async fn publish_watermark(
        &mut self,
        snapshot: &Snapshot,
        held: Held,
        complete_until: Timestamp,
    ) -> Result<(), RelayError> {
        let (headers, body) = self.origin(snapshot, held).watermark(
            self.options.watermark_kind,
            complete_until,
            snapshot.sequence,
            snapshot.nonce,
        );
        let sent = Instant::now();
        let time_to_live = self.retention.time_to_live(sent);
        let place = self
            .publish_in_chain(headers, body, held.last, time_to_live)
            .await?;
        if time_to_live.is_none() {
            self.retention.keep(sent);
        }
        self.tenure.advance(place);
        self.standing.send_replace(Standing::Live {
            claim: held.claim,
            sent,
        });
        Ok(())
    }

    /// Publishes on the watermark's subject if its last message is where it is expected. Answers where this one is.
    async fn publish_in_chain(
        &self,
        headers: HeaderMap,
        body: Bytes,
        last: u64,
        time_to_live: Option<Duration>,
    ) -> Result<u64, PublishError> {
        let subject = self
            .broker
            .topology
            .subject(self.options.source, event::WATERMARK);
        let message = PublishMessage::build()
            .headers(headers)
            .payload(body)
            .expected_last_subject_sequence(last);
        let message = match time_to_live {
            Some(time_to_live) => message.ttl(time_to_live),
            None => message,
        };
        let taken = self
            .broker
            .jetstream()
            .send_publish(subject, message)
            .await?
            .await?;
        Ok(taken.sequence)
    }

    async fn note(&mut self, result: Result<(), RelayError>) {
        if let Err(RelayError::Publish(error)) = &result
            && is_refusal(error)
        {
            // No outage: the next attempt finds out who published, and claims again or stops.
            return self.tenure.lose();
        }
        if let Err(error) = &result {
            self.broker.trouble().set(Stage::Publishing, error);
            self.note_what_waits().await;
        } else {
            self.broker.trouble().clear(Stage::Publishing);
        }
        if let Err(RelayError::Publish(error)) = result
            && (error.kind() == PublishErrorKind::StreamNotFound
                || error_code(&error) == Some(ErrorCode::MESSAGE_TTL_DISABLED))
        {
            // The next claim creates the stream, or notes whether the one that is there now allows a time to live.
            self.tenure.lose();
        }
    }

    /// An outage is when it matters how much waits, and nothing else reads the outbox then.
    async fn note_what_waits(&self) {
        let acknowledged = *self.acknowledged.borrow();
        if let Ok(oldest) = outbox::pending_after(&self.database, acknowledged, 1).await {
            self.progress.note(&oldest);
        }
    }

    fn fail_at(&self, point: FailPoint) {
        if self.options.fail_point == Some(point) {
            tracing::error!(?point, "fail point reached; the process ends as if killed");
            std::process::abort();
        }
    }
}

/// Deletes what is acknowledged, beside the publishing: a writer that is busy must not hold the watermarks up. What is
/// left behind by a crash is published again.
async fn tidy(database: Database, mut acknowledged: watch::Receiver<Option<Acknowledged>>) {
    while acknowledged.changed().await.is_ok() {
        let Some(through) = *acknowledged.borrow_and_update() else {
            continue;
        };
        if let Err(error) = outbox::forget(&database, through).await {
            tracing::debug!(%error, "what was published stays in the outbox until the next deletion");
        }
    }
}
