//! Publishes the outbox in order, and says up to which moment everything was published.

mod progress;

use std::str::FromStr;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use group_commit::Database;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use self::progress::Progress;
use crate::outbox::{self, Acknowledged, Pending, Snapshot};
use crate::{Broker, Clock, Incarnation, event};

/// How often a source says up to when it is complete. A hearer that misses four of these stops trusting.
const WATERMARK_EVERY: Duration = Duration::from_millis(250);
/// Rows published before their acknowledgements are awaited together.
const BATCH: usize = 256;

/// How long the first connection may take before it counts as an outage.
const PATIENCE_AT_START: Duration = Duration::from_secs(2);

/// Where a test kills the process, to see that nothing is lost there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailPoint {
    /// Committed, not published.
    BeforePublish,
    /// Published and acknowledged, still in the outbox.
    BeforeDelete,
}

impl FromStr for FailPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "before-publish" => Ok(Self::BeforePublish),
            "before-delete" => Ok(Self::BeforeDelete),
            _ => Err("one of: before-publish, before-delete".to_owned()),
        }
    }
}

/// The one publisher of a source. It wakes on every commit, and also polls.
#[derive(Debug)]
pub struct Relay {
    database: Database,
    broker: Broker,
    source: &'static str,
    watermark_kind: &'static str,
    fail_point: Option<FailPoint>,
    clock: Clock,
    /// What is acknowledged. A cursor is safe here, and only here: one writer gives the sequences out in the order of its
    /// commits, so that within an incarnation nothing below it can still appear.
    acknowledged: watch::Sender<Option<Acknowledged>>,
    /// So that an outage is logged when it begins and when it ends, not four times a second.
    failing: bool,
    progress: Progress,
}

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the outbox cannot be used")]
    Outbox(#[from] group_commit::Error),
    #[error("the broker did not take a message")]
    Publish(#[from] PublishError),
    #[error("NATS is not connected")]
    Disconnected,
}

impl Relay {
    /// A relay for `source`, whose watermarks are of type `watermark_kind`.
    pub fn new(
        database: Database,
        broker: Broker,
        source: &'static str,
        watermark_kind: &'static str,
        fail_point: Option<FailPoint>,
    ) -> Self {
        Self {
            database,
            broker,
            source,
            watermark_kind,
            fail_point,
            clock: Clock::default(),
            acknowledged: watch::Sender::new(None),
            failing: false,
            progress: Progress::new(),
        }
    }

    /// Dates by another clock all that it says to others: when something was committed, and up to when all is out. The
    /// outbox keeps the machine's time.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Publishes until stopped. Nothing that fails ends it: what was not acknowledged is still in the outbox.
    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            connected = timeout(PATIENCE_AT_START, self.broker.first_connection()) => {
                if connected.is_ok() {
                    self.create_stream().await;
                }
            }
        }
        tokio::spawn(tidy(self.database.clone(), self.acknowledged.subscribe()));
        let mut commits = self.database.commits();
        let mut tick = interval(WATERMARK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let watermark_due = tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => true,
                Ok(()) = commits.changed() => false,
            };
            // Not raced against `stop`: a batch under way is worth its two seconds, and is repeated if cut short.
            let result = self.publish_pending(watermark_due, &stop).await;
            self.note(result).await;
        }
    }

    /// Rule 3, in this order: take T, then read the rows and the counter in one snapshot, publish, await every
    /// acknowledgement; only then may the watermark say that all before T is out.
    async fn publish_pending(&self, watermark_due: bool, stop: &CancellationToken) -> Result<(), RelayError> {
        while !stop.is_cancelled() {
            // Asked before publishing: the client would keep messages of an outage and send them after it.
            if !self.broker.connected() {
                return Err(RelayError::Disconnected);
            }
            let taken_at = self.clock.now();
            let acknowledged = *self.acknowledged.borrow();
            let mut snapshot = outbox::pending_after(&self.database, acknowledged, BATCH).await?;
            self.progress.note(&snapshot);
            snapshot.rows.iter_mut().for_each(|row| self.clock.redate(row));
            self.publish(&snapshot).await?;
            if snapshot.rows.len() == BATCH {
                continue; // more may be waiting, and T would not cover them
            }
            self.progress.note_none();
            if watermark_due {
                self.publish_watermark(&snapshot, taken_at).await?;
            }
            break;
        }
        Ok(())
    }

    async fn publish(&self, snapshot: &Snapshot) -> Result<(), RelayError> {
        if snapshot.rows.is_empty() {
            return Ok(());
        }
        self.fail_at(FailPoint::BeforePublish);
        let mut sent = Vec::with_capacity(snapshot.rows.len());
        for row in &snapshot.rows {
            let span = self.publish_span(row);
            let acknowledgement = self.send(snapshot.incarnation, row, true, &span).await?;
            sent.push((row, acknowledgement, span));
        }
        for (row, acknowledgement, span) in sent {
            let answer = async { acknowledgement.await }.instrument(span.clone()).await;
            let repeat = match answer {
                Ok(taken) => taken.duplicate,
                Err(refused) => self.send_less(snapshot.incarnation, row, &span, refused).await?,
            };
            self.fail_at(FailPoint::BeforeDelete);
            self.progress.count(repeat);
            self.acknowledged.send_replace(Some(Acknowledged {
                incarnation: snapshot.incarnation,
                through: row.sequence,
            }));
        }
        Ok(())
    }

    /// Rule 2: a row that cannot go out as it is goes out without its fragment; it never blocks those behind it. Whether the
    /// stream had it already.
    async fn send_less(
        &self,
        incarnation: Incarnation,
        row: &Pending,
        span: &tracing::Span,
        refused: PublishError,
    ) -> Result<bool, PublishError> {
        // Other: the stream's own refusal, such as of a size. An outage is none, and is met by trying again.
        if row.fragment.is_none() || refused.kind() != PublishErrorKind::Other {
            return Err(refused);
        }
        tracing::warn!(sequence = row.sequence, "published without its fragment");
        let acknowledgement = self.send(incarnation, row, false, span).await?;
        acknowledgement.await.map(|taken| taken.duplicate)
    }

    async fn send(
        &self,
        incarnation: Incarnation,
        row: &Pending,
        carry: bool,
        span: &tracing::Span,
    ) -> Result<PublishAckFuture, PublishError> {
        let subject = self.broker.topology.subject(self.source, &row.entity);
        let mut headers = event::change_headers(self.source, incarnation, row);
        if let Some(traceparent) = span.in_scope(telemetry::traceparent) {
            headers.insert("traceparent", traceparent);
        }
        match self.hand_over(&subject, &headers, row.body(carry)).await {
            // The client itself refuses what the server said it would not take.
            Err(error) if carry && error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                tracing::warn!(sequence = row.sequence, "published without its fragment");
                self.hand_over(&subject, &headers, row.body(false)).await
            }
            result => result,
        }
    }

    async fn hand_over(
        &self,
        subject: &str,
        headers: &HeaderMap,
        body: String,
    ) -> Result<PublishAckFuture, PublishError> {
        self.broker
            .jetstream
            .publish_with_headers(subject.to_owned(), headers.clone(), body.into())
            .await
    }

    async fn publish_watermark(
        &self,
        snapshot: &Snapshot,
        complete_until: Timestamp,
    ) -> Result<(), RelayError> {
        let subject = self.broker.topology.subject(self.source, event::WATERMARK);
        let (headers, body) = event::watermark(
            self.source,
            self.watermark_kind,
            snapshot.incarnation,
            complete_until,
            snapshot.sequence,
        );
        self.broker
            .jetstream
            .publish_with_headers(subject, headers, body)
            .await?
            .await?;
        Ok(())
    }

    /// A child of the mutation that wrote the row, however much later it is published; none if that was not traced.
    fn publish_span(&self, row: &Pending) -> tracing::Span {
        let Some(traceparent) = &row.traceparent else {
            return tracing::Span::none();
        };
        let span = tracing::info_span!(
            "publish",
            otel.name = format!("publish {}", self.broker.topology.pattern(self.source)),
            otel.kind = "producer",
            messaging.system = "nats",
            messaging.operation.type = "send",
            messaging.destination.template = self.broker.topology.pattern(self.source),
            messaging.message.id = row.sequence,
        );
        // An error says that the span is already started or not recorded; either way there is nothing to do.
        let _ = span.set_parent(telemetry::context_from_traceparent(traceparent));
        span
    }

    async fn note(&mut self, result: Result<(), RelayError>) {
        match &result {
            Ok(()) if self.failing => tracing::info!("publishing again"),
            Err(error) if !self.failing => {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "cannot publish; mutations wait in the outbox"
                );
            }
            _ => {}
        }
        self.failing = result.is_err();
        if self.failing {
            self.note_what_waits().await;
        }
        if let Err(RelayError::Publish(error)) = result
            && error.kind() == PublishErrorKind::StreamNotFound
        {
            self.create_stream().await;
        }
    }

    /// An outage is when it matters how much waits, and nothing else reads the outbox then.
    async fn note_what_waits(&self) {
        let acknowledged = *self.acknowledged.borrow();
        if let Ok(oldest) = outbox::pending_after(&self.database, acknowledged, 1).await {
            self.progress.note(&oldest);
        }
    }

    /// The first publisher makes the stream; so does any later one, should it have been deleted.
    async fn create_stream(&self) {
        if let Err(error) = self.broker.stream().await {
            tracing::warn!(%error, "cannot create the stream");
        }
    }

    fn fail_at(&self, point: FailPoint) {
        if self.fail_point == Some(point) {
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
            tracing::debug!(%error, "what was published stays in the outbox until the next time");
        }
    }
}
