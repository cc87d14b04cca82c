//! What a sample is, and which values it cannot have.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::rfc3339;

/// How far into the future a sample may lie: clocks differ a little.
const FUTURE_LIMIT_MS: i64 = 60_000;

/// Whose endpoints were sampled. Minted by the accounts service; here any number may be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccountId(pub(crate) i64);

/// What was sampled: a positive number, minted by the endpoints service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointId(i64);

/// A moment in whole milliseconds: samples of one endpoint are told apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UnixMs(pub(crate) i64);

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    Degraded,
    Down,
}

/// The HTTP status of the answer, up to 599; 0 where none came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusCode(u16);

/// How long the answer took, in milliseconds; at most ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ResponseMs(u32);

/// One check of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) at: UnixMs,
    pub(crate) state: State,
    pub(crate) status_code: StatusCode,
    pub(crate) response_ms: ResponseMs,
}

/// Samples to be recorded together, at most one per endpoint and moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch(BTreeMap<(EndpointId, UnixMs), Sample>);

/// What is wrong with a value, to be said to whoever sent it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Invalid(pub(crate) &'static str);

// The numbers are parsed from `None` too: what came was no integer at all, and the message is the same.

impl EndpointId {
    pub(crate) fn parse(number: Option<i64>) -> Result<Self, Invalid> {
        match number {
            Some(id @ 1..) => Ok(Self(id)),
            _ => Err(Invalid("must be a positive integer")),
        }
    }

    pub(crate) fn get(self) -> i64 {
        self.0
    }
}

impl UnixMs {
    /// The moment that an RFC 3339 text names, cut to its millisecond.
    pub(crate) fn parse(text: Option<&str>, now: Timestamp) -> Result<Self, Invalid> {
        let at = text
            .and_then(rfc3339::milliseconds)
            .map(Self)
            .ok_or(Invalid("must be an RFC 3339 time, such as 2026-11-28T15:45:05Z"))?;
        if at.0 > Self::from(now).0 + FUTURE_LIMIT_MS {
            return Err(Invalid("must not be more than 60 s in the future"));
        }
        Ok(at)
    }
}

impl From<Timestamp> for UnixMs {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.as_millisecond())
    }
}

impl State {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Invalid> {
        match text {
            Some("up") => Ok(Self::Up),
            Some("degraded") => Ok(Self::Degraded),
            Some("down") => Ok(Self::Down),
            _ => Err(Invalid("must be up, degraded or down")),
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

impl StatusCode {
    pub(crate) fn parse(number: Option<i64>) -> Result<Self, Invalid> {
        number
            .and_then(|code| u16::try_from(code).ok())
            .filter(|code| *code <= 599)
            .map(Self)
            .ok_or(Invalid("must be an integer from 0 to 599"))
    }

    pub(crate) fn get(self) -> u16 {
        self.0
    }
}

impl ResponseMs {
    pub(crate) fn parse(number: Option<i64>) -> Result<Self, Invalid> {
        number
            .and_then(|ms| u32::try_from(ms).ok())
            .filter(|ms| *ms <= 600_000)
            .map(Self)
            .ok_or(Invalid("must be an integer from 0 to 600000"))
    }

    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

impl FromIterator<(EndpointId, Sample)> for Batch {
    /// Of two samples of one endpoint and moment the last one counts.
    fn from_iter<I: IntoIterator<Item = (EndpointId, Sample)>>(samples: I) -> Self {
        let keyed = samples
            .into_iter()
            .map(|(endpoint, sample)| ((endpoint, sample.at), sample));
        Self(keyed.collect())
    }
}

impl Batch {
    /// The samples in the order in which they lie on disk.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (EndpointId, &Sample)> {
        self.0.iter().map(|((endpoint, _), sample)| (*endpoint, sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_and_no_numbers_are_refused() {
        assert!(StatusCode::parse(Some(0)).is_ok() && StatusCode::parse(Some(599)).is_ok());
        assert!(ResponseMs::parse(Some(0)).is_ok() && ResponseMs::parse(Some(600_000)).is_ok());
        assert!(EndpointId::parse(Some(1)).is_ok() && EndpointId::parse(Some(i64::MAX)).is_ok());
        for number in [None, Some(i64::MIN), Some(-1)] {
            assert!(EndpointId::parse(number).is_err());
            assert!(StatusCode::parse(number).is_err());
            assert!(ResponseMs::parse(number).is_err());
        }
        // Beyond the limit, and what would be in range again if its upper bits were dropped.
        for number in [600, 65_536, i64::MAX] {
            assert!(StatusCode::parse(Some(number)).is_err());
        }
        for number in [600_001, 1 << 32, i64::MAX] {
            assert!(ResponseMs::parse(Some(number)).is_err());
        }
        assert!(EndpointId::parse(Some(0)).is_err());
    }

    #[test]
    fn a_moment_may_be_at_most_a_minute_ahead() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let parse = |text| UnixMs::parse(Some(text), now);
        assert_eq!(
            parse("2026-01-01T00:01:00Z").unwrap().0,
            now.as_millisecond() + 60_000
        );
        assert!(parse("2026-01-01T00:01:00.001Z").is_err());
        assert_eq!(
            parse("2026-01-01T01:00:00+01:00").unwrap(),
            now.into(),
            "offsets are understood"
        );
        assert!(parse("1969-07-20T20:17:40Z").unwrap().0 < 0);
        for text in [
            "",
            "yesterday",
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "1767225600",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(UnixMs::parse(None, now).is_err());
    }

    #[test]
    fn the_last_sample_of_a_moment_counts() {
        let sample = |ms| Sample {
            at: UnixMs(7),
            state: State::Up,
            status_code: StatusCode(200),
            response_ms: ResponseMs(ms),
        };
        let (one, two) = (EndpointId(1), EndpointId(2));
        let batch: Batch = [(one, sample(1)), (two, sample(2)), (one, sample(3))]
            .into_iter()
            .collect();
        let kept: Vec<_> = batch
            .samples()
            .map(|(endpoint, sample)| (endpoint.0, sample.response_ms.0))
            .collect();
        assert_eq!(kept, [(1, 3), (2, 2)]);
    }
}
