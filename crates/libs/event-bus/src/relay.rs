//! Publishes the outbox in order, and says up to which moment everything was published.

mod claiming;
mod progress;
mod publishing;
mod tenure;

use std::str::FromStr;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamError, PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::LastRawMessageError;
use bytes::Bytes;
use group_commit::Database;
use jiff::Timestamp;
use telemetry::TaskContext;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use self::claiming::{error_code, is_refusal};
use self::progress::Progress;
pub use self::publishing::Publishing;
use self::publishing::Standing;
use self::tenure::{Held, Tenure};
use crate::event::{self, Speaker};
use crate::outage::Seldom;
use crate::outbox::{self, Acknowledged, Everything, Pending, Snapshot};
use crate::trouble::Stage;
use crate::{Broker, Clock, HeadersMut};

/// How often a source says up to when it is complete. A consumer that misses four of these stops trusting.
const WATERMARK_EVERY: Duration = Duration::from_millis(250);
/// Rows published before their acknowledgements are awaited together.
const BATCH: usize = 256;

/// How long the first connection may take before it counts as an outage.
const PATIENCE_AT_START: Duration = Duration::from_secs(2);

/// Where a test kills the process, to see that nothing is lost there; or the relay, to see that its end is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailPoint {
    /// Committed, not published.
    BeforePublish,
    /// Published and acknowledged, still in the outbox.
    BeforeDelete,
    /// Committed, not published; and it is the relay that panics, and ends alone.
    Panic,
}

impl FromStr for FailPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "before-publish" => Ok(Self::BeforePublish),
            "before-delete" => Ok(Self::BeforeDelete),
            "panic" => Ok(Self::Panic),
            _ => Err("one of: before-publish, before-delete, panic".to_owned()),
        }
    }
}

/// Names the subject whose last message an expectation is about, where it is not the message's own.
const EXPECTED_ABOUT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// Whose relay it is, and how it speaks.
#[derive(Debug, Clone, Copy)]
pub struct RelayOptions {
    /// The source's name on the bus.
    pub source: &'static str,
    /// The type of its watermarks.
    pub watermark_kind: &'static str,
    /// The type of its claims: it ends with `.claim.v1`.
    pub claim_kind: &'static str,
    /// For a source that services subscribe to: what to announce again when the stream lost some of it. A cache needs none of
    /// this, because it asks after a loss.
    pub everything: Option<Everything>,
    /// The operator renewed the incarnation: this database replaces whatever publishes for the source now.
    pub takes_over: bool,
    /// Dates by another clock all that is said to others: when something was committed, and up to when all is out. The
    /// outbox keeps the machine's time.
    pub clock: Clock,
    /// Where a test ends the process.
    pub fail_point: Option<FailPoint>,
}

impl RelayOptions {
    /// A relay as in production: of the machine's clock, and of a database that replaces nobody.
    pub fn new(source: &'static str, watermark_kind: &'static str, claim_kind: &'static str) -> Self {
        Self {
            source,
            watermark_kind,
            claim_kind,
            everything: None,
            takes_over: false,
            clock: Clock::default(),
            fail_point: None,
        }
    }
}

/// The one publisher of a source. It wakes on every commit, and also polls.
#[derive(Debug)]
pub struct Relay {
    database: Database,
    broker: Broker,
    options: RelayOptions,
    tenure: Tenure,
    /// For those who answer readers and writers.
    standing: watch::Sender<Standing>,
    /// What is acknowledged. A cursor is safe here, and only here: one writer gives the sequences out in the order of its
    /// commits, so that within an incarnation nothing below it can still appear.
    acknowledged: watch::Sender<Option<Acknowledged>>,
    progress: Progress,
    /// Rows that are too large may be as many as rows.
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
        "the last watermark cannot be read; the broker's user needs the right to ask for messages of the stream"
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
            // Not raced against `stop`: a batch under way is worth its two seconds, and is repeated if cut short.
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

    /// The first row goes out only if our claim is still the last, and alone; the others follow together. To guard each would
    /// make them wait for each other in a cluster, which takes one message at a time that expects something of a subject. So
    /// what a publisher that was replaced can still send is the rest of one batch, and nobody believes it (rule 7).
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
        self.settle(snapshot, held, first, Some(held.last), sent).await?;
        let mut under_way = Vec::with_capacity(rest.len());
        for row in rest {
            under_way.push((row, self.send(snapshot, held, row, None).await?));
        }
        for (row, sent) in under_way {
            self.settle(snapshot, held, row, None, sent).await?;
        }
        Ok(())
    }

    /// Awaits a row's acknowledgement.
    async fn settle(
        &self,
        snapshot: &Snapshot,
        held: Held,
        row: &Pending,
        expected: Option<u64>,
        sent: Sent,
    ) -> Result<(), RelayError> {
        let Sent {
            acknowledgement,
            publish,
        } = sent;
        let answer = publish.clone().run(acknowledgement.into_future()).await;
        let repeat = match answer {
            Ok(taken) => taken.duplicate,
            // Rule 2: a row that cannot go out as it is goes out without its fragment; it never blocks those behind it.
            Err(error) if row.fragment.is_some() && is_too_large(&error) => {
                self.say_without_fragment(row);
                let headers = self.headers(snapshot, held, row, expected, &publish);
                let acknowledgement = self.hand_over(row, &headers, false).await?;
                acknowledgement.await?.duplicate
            }
            Err(error) => return Err(error.into()),
        };
        self.fail_at(FailPoint::BeforeDelete);
        self.progress.count(repeat);
        self.acknowledged.send_replace(Some(Acknowledged {
            incarnation: snapshot.incarnation,
            through: row.sequence,
        }));
        Ok(())
    }

    async fn send(
        &self,
        snapshot: &Snapshot,
        held: Held,
        row: &Pending,
        expected: Option<u64>,
    ) -> Result<Sent, PublishError> {
        let publish = self.publish_context(self.speaker(snapshot, held), row);
        let headers = self.headers(snapshot, held, row, expected, &publish);
        let acknowledgement = match self.hand_over(row, &headers, true).await {
            // The client itself refuses what the server said it would not take.
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                self.say_without_fragment(row);
                self.hand_over(row, &headers, false).await?
            }
            result => result?,
        };
        Ok(Sent {
            acknowledgement,
            publish,
        })
    }

    fn headers(
        &self,
        snapshot: &Snapshot,
        held: Held,
        row: &Pending,
        expected: Option<u64>,
        publish: &TaskContext,
    ) -> HeaderMap {
        let mut headers = self.speaker(snapshot, held).change_headers(row);
        publish
            .clone()
            .enter(|| telemetry::inject_current(&mut HeadersMut(&mut headers)));
        if let Some(place) = expected {
            let subject = self
                .broker
                .topology
                .subject(self.options.source, event::WATERMARK);
            headers.insert(
                async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                place.to_string(),
            );
            headers.insert(EXPECTED_ABOUT, subject);
        }
        headers
    }

    fn speaker(&self, snapshot: &Snapshot, held: Held) -> Speaker<'static> {
        Speaker {
            source: self.options.source,
            claim: held.claim,
            incarnation: snapshot.incarnation,
        }
    }

    async fn hand_over(
        &self,
        row: &Pending,
        headers: &HeaderMap,
        carry: bool,
    ) -> Result<PublishAckFuture, PublishError> {
        let subject = self.broker.topology.subject(self.options.source, &row.entity);
        self.broker
            .jetstream()
            .publish_with_headers(subject, headers.clone(), row.body(carry).into())
            .await
    }

    async fn publish_watermark(
        &mut self,
        snapshot: &Snapshot,
        held: Held,
        complete_until: Timestamp,
    ) -> Result<(), RelayError> {
        let (headers, body) = self.speaker(snapshot, held).watermark(
            self.options.watermark_kind,
            complete_until,
            snapshot.sequence,
            snapshot.nonce,
        );
        let sent = Instant::now();
        let place = self.publish_in_chain(headers, body, held.last).await?;
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
    ) -> Result<u64, PublishError> {
        let subject = self
            .broker
            .topology
            .subject(self.options.source, event::WATERMARK);
        let message = PublishMessage::build()
            .headers(headers)
            .payload(body)
            .expected_last_subject_sequence(last);
        let taken = self
            .broker
            .jetstream()
            .send_publish(subject, message)
            .await?
            .await?;
        Ok(taken.sequence)
    }

    /// A child of the mutation that wrote the row, however much later it is published. What it says of its trace goes out
    /// with the event, also if it is not traced, or nothing is recorded here.
    fn publish_context(&self, speaker: Speaker<'_>, row: &Pending) -> TaskContext {
        let Some(writer) = &row.trace else {
            return TaskContext::none();
        };
        let topology = &self.broker.topology;
        let pattern = topology.pattern(speaker.source);
        TaskContext::below(writer, || {
            tracing::info_span!(
                "publish",
                otel.name = format!("publish {pattern}"),
                otel.kind = "producer",
                messaging.system = "nats",
                messaging.operation.name = "publish",
                messaging.operation.type = "send",
                messaging.destination.name = topology.subject(speaker.source, &row.entity),
                messaging.destination.template = pattern,
                messaging.message.id = speaker.id(row),
            )
        })
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
            && error.kind() == PublishErrorKind::StreamNotFound
        {
            // To claim the source creates the stream.
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

    fn say_without_fragment(&self, row: &Pending) {
        if self.seldom.say("without its fragment") {
            tracing::warn!(
                sequence = row.sequence,
                "the broker takes no message as large as this one: it is published without its fragment, and readers ask. \
                 Others may follow"
            );
        }
    }

    fn fail_at(&self, point: FailPoint) {
        if self.options.fail_point == Some(point) {
            tracing::error!(?point, "fail point reached; the process ends as if killed");
            std::process::abort();
        }
    }
}

/// A row under way.
struct Sent {
    acknowledgement: PublishAckFuture,
    publish: TaskContext,
}

/// Whether the stream itself takes no message of that size. Any other refusal, such as of a stream that is full, is met by
/// trying again.
fn is_too_large(error: &PublishError) -> bool {
    error_code(error) == Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}

/// Deletes what is acknowledged, beside the publishing: a writer that is busy must not hold the watermarks up. What is
/// left behind by a crash is published again.
async fn tidy(database: Database, mut acknowledged: watch::Receiver<Option<Acknowledged>>) {
    while acknowledged.changed().await.is_ok() {
        let Some(through) = *acknowledged.borrow_and_update() else {
            continue;
        };
        if let Err(error) = outbox::forget(&database, through).await {
            tracing::debug!(%error, "what was published stays in the outbox until the next time");
        }
    }
}
