//! What the stream still tells of the past: the last change of each entity, for a consumer that starts with nothing.
//!
//! It is a warm start and nothing more. The stream may have lost any of it, so that it proves nothing (rule 19); what
//! counts is what a [`Feed`](crate::Feed) receives, which neither needs this nor shares a place in the stream with it.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{Batch, Config};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};

use crate::{Broker, Event, event};

/// Messages asked for at once.
const BATCH: usize = 256;

/// How much of the past is enough.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Changes told at most; those that happened first come first.
    pub changes: usize,
    /// How long it may take, waiting for the broker and all that the caller does in between included.
    pub within: Duration,
}

/// Why reading ended before the end of the stream.
#[derive(Debug, thiserror::Error)]
pub enum CutShort {
    /// [`Bounds::changes`] were told, and there are more.
    #[error("there are more changes than are wanted")]
    Changes,
    /// [`Bounds::within`] has passed.
    #[error("the time is up")]
    Time,
    /// The broker said no.
    #[error("the stream cannot be read")]
    Broker(#[source] async_nats::Error),
}

/// A change that the stream tells of.
#[derive(Debug)]
pub struct PastChange {
    /// The index of the source whose it is.
    pub source: usize,
    /// What was published.
    pub event: Event,
    /// When the broker received it, by the broker's clock; the end of the stream, or now, if the clock was set back since.
    pub received: Timestamp,
}

impl PastChange {
    /// Whether the event claims to have been committed after it was received. Its source's clock was ahead, so nobody knows
    /// what that source had committed by the event's time. Clocks may differ by the skew.
    pub fn is_dated_ahead(&self, skew: Duration) -> bool {
        let skew = SignedDuration::try_from(skew).unwrap_or(SignedDuration::MAX);
        self.event.time.duration_since(self.received) > skew
    }
}

/// The last change of each entity of some sources, in the order of the stream, up to the stream's end at the first call
/// of [`next`](Self::next). A stream that is not there is created, and is empty.
///
/// An entity that changes while this is read may be left out: its change is for the feed to receive.
#[derive(Debug)]
pub struct History {
    broker: Broker,
    sources: Vec<String>,
    bounds: Bounds,
    /// None until it is opened.
    until: Option<Instant>,
    /// None until it is opened, and again when it has ended.
    past: Option<Past>,
    told: usize,
    unreadable: usize,
    cut_short: Option<CutShort>,
}

impl History {
    /// The past of `sources`, not yet asked for.
    pub fn new(broker: Broker, sources: &[&str], bounds: Bounds) -> Self {
        Self {
            broker,
            sources: sources.iter().map(|&source| source.to_owned()).collect(),
            bounds,
            until: None,
            past: None,
            told: 0,
            unreadable: 0,
            cut_short: None,
        }
    }

    /// The next change; none when it is over.
    pub async fn next(&mut self) -> Option<PastChange> {
        let next = self.look().await;
        if !matches!(next, Ok(Some(_))) {
            self.past = None;
        }
        next.unwrap_or_else(|reason| {
            self.cut_short = Some(reason);
            None
        })
    }

    /// Changes told so far.
    pub fn told(&self) -> usize {
        self.told
    }

    /// Messages so far that could not be read, and were skipped.
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Why it is over although there may be more; none: that was all.
    pub fn cut_short(&self) -> Option<&CutShort> {
        self.cut_short.as_ref()
    }

    async fn look(&mut self) -> Result<Option<PastChange>, CutShort> {
        let until = self.open().await?;
        while let Some(past) = &mut self.past {
            let Some((message, received)) = in_time(until, past.next()).await? else {
                return Ok(None);
            };
            let Some((source, event)) = self.read(&message) else {
                continue;
            };
            if self.told == self.bounds.changes {
                return Err(CutShort::Changes);
            }
            self.told += 1;
            return Ok(Some(PastChange {
                source,
                event,
                received,
            }));
        }
        Ok(None)
    }

    async fn open(&mut self) -> Result<Instant, CutShort> {
        if let Some(until) = self.until {
            return Ok(until);
        }
        let until = Instant::now() + self.bounds.within;
        self.until = Some(until);
        self.past = Some(in_time(until, Past::open(&self.broker, &self.sources)).await?);
        Ok(until)
    }

    fn read(&mut self, message: &Message) -> Option<(usize, Event)> {
        let (source, entity) = self.broker.topology.parse(&message.subject)?;
        let source = self.sources.iter().position(|known| known == source)?;
        match event::read(entity, message.headers.as_ref(), &message.payload) {
            Ok(event::Message::Change(event)) => Some((source, event)),
            Ok(event::Message::Watermark { .. } | event::Message::Claim { .. }) => None,
            Err(error) => {
                // The first one; the caller is told how many.
                if self.unreadable == 0 {
                    tracing::warn!(subject = %message.subject, %error, "skipped an old message that cannot be read");
                }
                self.unreadable += 1;
                None
            }
        }
    }
}

async fn in_time<T>(
    until: Instant,
    step: impl Future<Output = Result<T, async_nats::Error>>,
) -> Result<T, CutShort> {
    // Asked first: a step that is ready at once is never late by itself, however long the caller took before it.
    if Instant::now() >= until {
        return Err(CutShort::Time);
    }
    match timeout_at(until, step).await {
        Ok(result) => result.map_err(CutShort::Broker),
        Err(_) => Err(CutShort::Time),
    }
}

/// The last messages of some subjects, up to a place in the stream.
struct Past {
    consumer: Consumer<Config>,
    /// The stream's last sequence when this began: what comes behind it is not the past.
    end: u64,
    /// When the last message was received; no message before it was received later.
    ended: Timestamp,
    /// What was asked for and not yet taken; none: nothing is left.
    batch: Option<Batch>,
    taken_of_batch: usize,
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The library's batch does not say what it is.
        f.debug_struct("Past")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl Past {
    async fn open(broker: &Broker, sources: &[String]) -> Result<Self, async_nats::Error> {
        broker.first_connection().await;
        let stream = broker.stream().await?;
        let subjects = sources.iter().map(|source| broker.topology.pattern(source));
        // Asked for in batches, so that the broker waits for us; it forgets the consumer by itself.
        let config = Config {
            deliver_policy: DeliverPolicy::LastPerSubject,
            ack_policy: AckPolicy::None,
            filter_subjects: subjects.collect(),
            memory_storage: true,
            ..Config::default()
        };
        let consumer = stream.create_consumer(config).await?;
        let batch = ask(&consumer).await?;
        let state = &stream.cached_info().state;
        Ok(Self {
            consumer,
            end: state.last_sequence,
            ended: Timestamp::from_nanosecond(state.last_timestamp.unix_timestamp_nanos())?,
            batch: Some(batch),
            taken_of_batch: 0,
        })
    }

    /// The next message and when it was received; none at the end, which is where nothing is left, or what is left came after
    /// this began.
    async fn next(&mut self) -> Result<Option<(Message, Timestamp)>, async_nats::Error> {
        while let Some(batch) = &mut self.batch {
            if let Some(message) = batch.next().await.transpose()? {
                self.taken_of_batch += 1;
                let info = message.info()?;
                if info.stream_sequence > self.end {
                    return Ok(None);
                }
                let received = Timestamp::from_nanosecond(info.published.unix_timestamp_nanos())?;
                let received = received.min(self.ended).min(Timestamp::now());
                return Ok(Some((message, received)));
            }
            let more = std::mem::take(&mut self.taken_of_batch) == BATCH;
            self.batch = if more {
                Some(ask(&self.consumer).await?)
            } else {
                None
            };
        }
        Ok(None)
    }
}

/// A batch of what is there, without waiting for more.
async fn ask(consumer: &Consumer<Config>) -> Result<Batch, async_nats::Error> {
    Ok(consumer.fetch().max_messages(BATCH).messages().await?)
}
