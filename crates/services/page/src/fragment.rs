//! Fragments: what a source answered about one account, read once and kept with the bytes it came in.
//!
//! A fragment that does not fit its question (another account, another window, a share above one) is refused
//! here, so that it costs its fragment of the page, and nothing behind this file has to check what it draws.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use event_bus::Nonce;
use fresh_cache::EventFragment;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::key::{PageKey, Window};
use crate::source::Source;
use crate::tag::{NotATag, Tag};

/// One source's answer about one account.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    /// Which state of the source this is.
    pub(crate) tag: Tag,
    /// Whose it is: the account's own mark among all that ever had its id. None where the source does not know it.
    pub(crate) life: Option<Life>,
    /// The source's own JSON, embedded as it came into the JSON form of the page. Empty where there is no
    /// account.
    pub(crate) json: Bytes,
    /// The same, read.
    pub(crate) content: Content,
}

/// Drawn at an account's creation: after a reset of the accounts service another account may get its id, and never this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life(u64);

impl Life {
    /// Reads 16 hexadecimal digits; zeros stand for accounts that are older than lives are.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let Nonce(life) = text.parse().ok()?;
        (life != 0).then_some(Self(life))
    }
}

/// What a fragment says.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The account's head.
    Account(Account),
    /// There is no such account: an answer like any other (rule 14).
    NoAccount,
    /// The account's endpoints.
    Endpoints(Endpoints),
    /// What was measured of them.
    Metrics(Metrics),
}

/// The head of the page.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Account {
    id: u64,
    life: Option<String>,
    /// What the account is called.
    pub(crate) name: String,
    /// What it says of itself; may be empty.
    pub(crate) description: String,
}

/// The rows of the page.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Endpoints {
    account_id: u64,
    /// In the order in which they were added.
    pub(crate) endpoints: Vec<Endpoint>,
}

/// One monitored URL.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Endpoint {
    /// The id by which measurements refer to it.
    pub(crate) id: u64,
    /// What it is called.
    pub(crate) name: String,
    /// What is asked. Any text: the page makes a link of it only if it is `http` or `https`.
    pub(crate) url: String,
}

/// The measurements of the window.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Metrics {
    account_id: u64,
    window: String,
    /// The start of the first bucket.
    pub(crate) start: Timestamp,
    /// The end of the last bucket.
    pub(crate) end: Timestamp,
    /// The length of each bucket.
    pub(crate) bucket_seconds: u32,
    /// One summary per endpoint that was ever measured, in no promised order.
    pub(crate) endpoints: Vec<Summary>,
}

/// What was measured of one endpoint.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Summary {
    /// Whose measurements these are.
    pub(crate) endpoint_id: u64,
    /// How many samples the window holds.
    pub(crate) samples: u64,
    /// The share of samples that were not down. Absent without samples.
    pub(crate) uptime: Option<Share>,
    /// Median response time, in milliseconds, of the samples that were not down.
    pub(crate) p50_ms: Option<u32>,
    /// The same at 95 %.
    pub(crate) p95_ms: Option<u32>,
    /// The same at 99 %.
    pub(crate) p99_ms: Option<u32>,
    /// The newest sample, inside the window or before it.
    pub(crate) last: Option<Sample>,
    /// One point per bucket, from `start` on.
    pub(crate) series: Vec<Point>,
}

impl Summary {
    /// How many of its samples were not down, and how many there are. None without samples.
    pub(crate) fn answered(&self) -> Option<(u64, u64)> {
        Some((self.uptime?.of(self.samples), self.samples))
    }
}

/// One check of an endpoint.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sample {
    /// When.
    pub(crate) at: Timestamp,
    /// With which outcome.
    pub(crate) state: State,
    /// The HTTP status, 0 where nothing answered.
    pub(crate) status_code: u16,
    /// How long it took, in milliseconds.
    pub(crate) response_ms: u32,
}

/// The outcome of a check, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It answered as it should.
    Up,
    /// It answered, but not well.
    Degraded,
    /// It did not answer, or with an error.
    Down,
}

/// One bucket of a series.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Point {
    /// The share of samples that were not down. Absent without samples.
    pub(crate) uptime: Option<Share>,
    /// Median response time in milliseconds. Absent when nothing answered.
    pub(crate) p50_ms: Option<u32>,
}

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Share(f64);

impl Share {
    /// The number itself.
    pub(crate) const fn get(self) -> f64 {
        self.0
    }
}

impl Share {
    /// How many of so many samples the share is of. Exact below 2^50 of them: the share is a quotient of two whole numbers, rounded once,
    /// and perhaps once more where its digits were read.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is rounded, and lies between 0 and the number of samples"
    )]
    pub(crate) fn of(self, samples: u64) -> u64 {
        (self.0 * samples as f64).round() as u64
    }
}

impl TryFrom<f64> for Share {
    type Error = &'static str;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err("a share lies between 0 and 1")
        }
    }
}

/// The payload of an event, as far as it matters here.
#[derive(Deserialize)]
struct Carrying<'a> {
    #[serde(borrow)]
    fragment: Option<&'a RawValue>,
    /// The version of the fragment's form; none from a program of before there were any.
    form: Option<u32>,
    account_life: Option<&'a str>,
}

impl Fragment {
    /// Reads what `source` answered when it was asked for its fragment of `key`'s page.
    ///
    /// Accounts says in its answer which life the account has; the others say beside theirs whose it is.
    pub(crate) fn parse(
        source: Source,
        key: &PageKey,
        tag: Tag,
        life: Option<Life>,
        json: Bytes,
    ) -> Result<Self, FragmentError> {
        let content = match source {
            Source::Accounts => Content::Account(read_account(key, &json)?),
            Source::Endpoints => Content::Endpoints(read_endpoints(key, &json)?),
            Source::Metrics => Content::Metrics(read_metrics(key, &json)?),
        };
        let life = match &content {
            Content::Account(account) => account.life.as_deref().and_then(Life::parse),
            _ => life,
        };
        Ok(Self {
            tag,
            life,
            json,
            content,
        })
    }

    /// Reads what an event of `source` carries; nothing, if it carries none.
    pub(crate) fn from_event(
        source: Source,
        key: &PageKey,
        event: &EventFragment,
    ) -> Result<Option<Self>, FragmentError> {
        let Carrying {
            fragment,
            form,
            account_life,
        } = read(&event.data)?;
        let life = account_life.and_then(Life::parse);
        let Some(form) = form else {
            return Ok(None);
        };
        // Copied: the event is a slice of all that the broker's client read with it, and the fragment outlives both.
        let json = fragment.map(|fragment| Bytes::copy_from_slice(fragment.get().as_bytes()));
        json.map(|json| Self::parse(source, key, Tag::of(event.version, form), life, json))
            .transpose()
    }

    /// Whether an event carries a fragment.
    pub(crate) fn is_in(event: &EventFragment) -> bool {
        read(&event.data).is_ok_and(|Carrying { fragment, form, .. }| fragment.is_some() && form.is_some())
    }

    /// Whether two answers say the same, however they are written.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let value = |json: &Bytes| serde_json::from_slice::<serde_json::Value>(json).ok();
        self.json == other.json || value(&self.json) == value(&other.json)
    }

    /// The answer that there is no such account.
    pub(crate) const fn no_account(tag: Tag) -> Self {
        Self {
            tag,
            life: None,
            json: Bytes::new(),
            content: Content::NoAccount,
        }
    }

    /// How much of the cache's capacity this takes: the bytes kept, and about as much again for what was read
    /// of them.
    pub(crate) fn weight(&self) -> usize {
        2 * self.json.len() + self.tag.text.len()
    }
}

fn read_account(key: &PageKey, json: &[u8]) -> Result<Account, FragmentError> {
    let account: Account = read(json)?;
    same_account(key, account.id)?;
    Ok(account)
}

fn read_endpoints(key: &PageKey, json: &[u8]) -> Result<Endpoints, FragmentError> {
    let endpoints: Endpoints = read(json)?;
    same_account(key, endpoints.account_id)?;
    Ok(endpoints)
}

fn read_metrics(key: &PageKey, json: &[u8]) -> Result<Metrics, FragmentError> {
    let metrics: Metrics = read(json)?;
    same_account(key, metrics.account_id)?;
    if metrics.window.parse() == Ok(key.window) {
        Ok(metrics)
    } else {
        Err(FragmentError::OtherWindow { asked: key.window })
    }
}

/// Checks the whole text as UTF-8 first: `serde_json` skips over fields it was not asked for without looking
/// at their characters, and these bytes go out again inside our own JSON.
fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, FragmentError> {
    let text = std::str::from_utf8(json).map_err(|_| FragmentError::NotUtf8)?;
    serde_json::from_str(text).map_err(|source| FragmentError::Json { source })
}

fn same_account(key: &PageKey, found: u64) -> Result<(), FragmentError> {
    if found == key.account.get() {
        Ok(())
    } else {
        Err(FragmentError::OtherAccount {
            asked: key.account.get(),
            found,
        })
    }
}

/// Why an answer is not a fragment of the page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FragmentError {
    /// The `ETag` is not one of ours.
    #[error(transparent)]
    Tag(#[from] NotATag),
    /// The body is not UTF-8.
    #[error("its answer is not UTF-8")]
    NotUtf8,
    /// The body is not the JSON of this fragment.
    #[error("its answer is not the JSON expected")]
    Json {
        /// Where, and what instead.
        source: serde_json::Error,
    },
    /// The body is about another account.
    #[error("it was asked about account {asked} and answered about {found}")]
    OtherAccount {
        /// The account of the page.
        asked: u64,
        /// The account of the answer.
        found: u64,
    },
    /// The body is about another window.
    #[error("it was asked about {} and answered about another window", asked.as_str())]
    OtherWindow {
        /// The window of the page.
        asked: Window,
    },
}
