//! Which requests are traced: decided once per request, before anything is built for it.

mod bucket;
mod follow;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use clap::ValueEnum;
use opentelemetry::Context;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use crate::Unsampled;
use crate::propagation::span_from;
use bucket::Bucket;
pub(crate) use follow::{Decided, Follow};

/// Traces that [`TracesSampler::ParentbasedRatelimiting`] begins in a second, if no argument says otherwise.
const TRACES_PER_SECOND: f64 = 100.0;
/// How many times as many it follows: one trace may come by several times, and yet a client must not be able to have
/// everything traced.
const FOLLOWED_PER_BEGUN: f64 = 10.0;

/// How it is decided whether a request is traced, by the names of `OTEL_TRACES_SAMPLER`.
///
/// The standard's `traceidratio` is not among them: a service that uses it tears the traces of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum TracesSampler {
    /// Every request.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// As the caller did; without a caller's decision, every request.
    ParentbasedAlwaysOn,
    /// As the caller did; without a caller's decision, none.
    ParentbasedAlwaysOff,
    /// As the caller did; without a caller's decision, that share of the requests which the argument says (1).
    ParentbasedTraceidratio,
    /// As the caller did; without a caller's decision, every request up to as many in a second as the argument says
    /// (100). Ten times as many are followed.
    #[default]
    ParentbasedRatelimiting,
}

/// The argument of a sampler is none that it can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SamplerArgumentError {
    /// Not a share.
    #[error("a share from 0 to 1 is needed")]
    Share,
    /// Not a rate.
    #[error("a number of traces per second from 0 to 1000000 is needed")]
    Rate,
}

/// Decides of each request whether it is traced; cheap to clone, and its clones share their limits.
#[derive(Clone, Debug)]
pub struct Sampler(Arc<Rules>);

/// What a [`Sampler`] says of a request.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Begin its span below this context: its caller's, if its headers carry one.
    Traced(Context),
    /// Build nothing; run it [within](Unsampled::enter) this.
    Unsampled(Unsampled),
}

#[derive(Debug)]
struct Rules {
    begins: Begins,
    follows: Follows,
    /// Whether other services are told that a request is not traced, where nobody else said so before.
    tells: bool,
}

/// Of the requests without a caller's decision.
#[derive(Debug)]
enum Begins {
    Always,
    Never,
    /// One whose lower half of a random trace id is below this.
    Share(u64),
    Limited(Bucket),
}

/// Of the requests with one.
#[derive(Debug)]
enum Follows {
    Nobody,
    Parent,
    ParentUpTo(Bucket),
}

impl Sampler {
    /// The sampler of this name; `argument` is a share or a rate, where the name needs one.
    pub fn new(name: TracesSampler, argument: Option<f64>) -> Result<Self, SamplerArgumentError> {
        use TracesSampler as Name;
        let (begins, follows) = match name {
            Name::AlwaysOn => (Begins::Always, Follows::Nobody),
            Name::AlwaysOff => (Begins::Never, Follows::Nobody),
            Name::ParentbasedAlwaysOn => (Begins::Always, Follows::Parent),
            Name::ParentbasedAlwaysOff => (Begins::Never, Follows::Parent),
            Name::ParentbasedTraceidratio => (Begins::share(argument.unwrap_or(1.0))?, Follows::Parent),
            Name::ParentbasedRatelimiting => {
                let rate = argument.unwrap_or(TRACES_PER_SECOND);
                if !(0.0..=1_000_000.0).contains(&rate) {
                    return Err(SamplerArgumentError::Rate);
                }
                let followed = Bucket::new(rate * FOLLOWED_PER_BEGUN);
                (Begins::Limited(Bucket::new(rate)), Follows::ParentUpTo(followed))
            }
        };
        Ok(Self::of(begins, follows, true))
    }

    /// The sampler of this name, with the argument that it has if none is given.
    pub(crate) fn by_default(name: TracesSampler) -> Self {
        Self::new(name, None).expect("the argument that is used if none is given is in range")
    }

    /// For a process that traces nothing: context that comes in goes out again, and nothing is added to it.
    pub(crate) fn passing_on() -> Self {
        Self::of(Begins::Never, Follows::Parent, false)
    }

    fn of(begins: Begins, follows: Follows, tells: bool) -> Self {
        Self(Arc::new(Rules {
            begins,
            follows,
            tells,
        }))
    }

    /// Whether a request, which arrived `now`, is traced; `headers` are its own, if a `traceparent` is among them.
    pub fn decide(&self, headers: Option<&dyn Extractor>, now: Instant) -> Decision {
        let parent = headers.and_then(span_from);
        let sampled = parent.as_ref().is_some_and(SpanContext::is_sampled);
        let traced = match (&self.0.follows, &parent) {
            (Follows::Nobody, _) | (_, None) => self.begins(now),
            (Follows::Parent, Some(_)) => sampled,
            (Follows::ParentUpTo(limit), Some(_)) => sampled && limit.take(now),
        };
        match (traced, parent) {
            (true, None) => Decision::Traced(Context::new().with_value(Decided)),
            (true, Some(parent)) => {
                let parent = Context::new().with_remote_span_context(parent);
                Decision::Traced(parent.with_value(Decided))
            }
            (false, None) => Decision::Unsampled(Unsampled::new(self.0.tells)),
            (false, Some(parent)) => Decision::Unsampled(Unsampled::below(&parent)),
        }
    }

    /// Whether a trace begins `now`.
    fn begins(&self, now: Instant) -> bool {
        match &self.0.begins {
            Begins::Always => true,
            Begins::Never => false,
            Begins::Share(below) => lower_half(RandomIdGenerator::default().new_trace_id()) < *below,
            Begins::Limited(limit) => limit.take(now),
        }
    }
}

impl Begins {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of all numbers; nobody minds the last of them"
    )]
    fn share(share: f64) -> Result<Self, SamplerArgumentError> {
        if !(0.0..=1.0).contains(&share) {
            return Err(SamplerArgumentError::Share);
        }
        Ok(Self::Share((share * u64::MAX as f64) as u64))
    }
}

fn lower_half(id: TraceId) -> u64 {
    id.to_bytes()
        .last_chunk()
        .map_or(0, |half| u64::from_be_bytes(*half))
}

/// The process's own, once it is started.
static STARTED: OnceLock<Sampler> = OnceLock::new();

/// Makes this sampler the process's own; the first one stays.
pub(crate) fn set_sampler(sampler: Sampler) {
    let _ = STARTED.set(sampler);
}

/// The sampler that [`start`](crate::start) was told to use; in a process that has not started, one that traces whatever
/// its caller does not forbid.
pub fn sampler() -> Sampler {
    let fallback = || Sampler::of(Begins::Always, Follows::Parent, true);
    STARTED.get().cloned().unwrap_or_else(fallback)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;

    const TRACED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const UNTRACED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    fn traced(sampler: &Sampler, parent: Option<&str>, now: Instant, times: usize) -> usize {
        let headers = parent.map(|parent| HashMap::from([("traceparent".to_owned(), parent.to_owned())]));
        let headers = headers.as_ref().map(|headers| headers as &dyn Extractor);
        let decisions = (0..times).map(|_| sampler.decide(headers, now));
        decisions
            .filter(|decision| matches!(decision, Decision::Traced(_)))
            .count()
    }

    #[test]
    fn a_burst_is_traced_up_to_the_limit_and_a_steady_stream_at_its_rate() {
        let sampler = Sampler::new(TracesSampler::default(), None).unwrap();
        let start = Instant::now();
        assert_eq!(traced(&sampler, None, start, 10_000), 100);
        let later = (1..=10_000).map(|step| start + Duration::from_micros(100 * step));
        let stream: usize = later.map(|now| traced(&sampler, None, now, 1)).sum();
        assert_eq!(stream, 100, "10,000 requests in the second after it");
    }

    #[test]
    fn at_a_human_rate_all_is_traced() {
        let sampler = Sampler::new(TracesSampler::default(), None).unwrap();
        let start = Instant::now();
        let clicks = (0..1_000).map(|step| start + Duration::from_millis(20 * step));
        assert_eq!(
            clicks.map(|now| traced(&sampler, None, now, 1)).sum::<usize>(),
            1_000
        );
    }

    #[test]
    fn a_caller_is_followed_within_bounds_of_its_own() {
        let sampler = Sampler::new(TracesSampler::default(), Some(5.0)).unwrap();
        let now = Instant::now();
        assert_eq!(traced(&sampler, Some(UNTRACED), now, 10), 0);
        assert_eq!(traced(&sampler, Some(TRACED), now, 10_000), 50);
        assert_eq!(traced(&sampler, None, now, 10), 5, "what is begun has its own");
    }

    #[test]
    fn nonsense_of_a_caller_is_no_decision() {
        let sampler = Sampler::new(TracesSampler::ParentbasedAlwaysOff, None).unwrap();
        let now = Instant::now();
        for nonsense in ["", "01", "00-0-0-01", &TRACED.replace('a', "x")] {
            assert_eq!(traced(&sampler, Some(nonsense), now, 1), 0, "{nonsense}");
        }
        assert_eq!(traced(&sampler, Some(TRACED), now, 1), 1);
    }

    #[test]
    fn each_name_does_what_the_standard_says() {
        use TracesSampler as Name;
        let cases = [
            (Name::AlwaysOn, [1, 1, 1]),
            (Name::AlwaysOff, [0, 0, 0]),
            (Name::ParentbasedAlwaysOn, [1, 1, 0]),
            (Name::ParentbasedAlwaysOff, [0, 1, 0]),
            (Name::ParentbasedTraceidratio, [1, 1, 0]),
            (Name::ParentbasedRatelimiting, [1, 1, 0]),
        ];
        for (name, expected) in cases {
            let sampler = Sampler::new(name, None).unwrap();
            let now = Instant::now();
            let found = [None, Some(TRACED), Some(UNTRACED)].map(|parent| traced(&sampler, parent, now, 1));
            assert_eq!(found, expected, "{name:?}");
        }
    }

    #[test]
    fn a_share_of_the_requests_is_traced() {
        let sampler = Sampler::new(TracesSampler::ParentbasedTraceidratio, Some(0.25)).unwrap();
        let found = traced(&sampler, None, Instant::now(), 10_000);
        assert!((2_000..3_000).contains(&found), "{found}");
        let none = Sampler::new(TracesSampler::ParentbasedTraceidratio, Some(0.0)).unwrap();
        assert_eq!(traced(&none, None, Instant::now(), 1_000), 0);
    }

    #[test]
    fn arguments_out_of_range_are_refused() {
        for (name, argument) in [
            (TracesSampler::ParentbasedTraceidratio, 1.5),
            (TracesSampler::ParentbasedTraceidratio, f64::NAN),
            (TracesSampler::ParentbasedRatelimiting, -1.0),
            (TracesSampler::ParentbasedRatelimiting, f64::INFINITY),
        ] {
            assert!(Sampler::new(name, Some(argument)).is_err(), "{name:?} {argument}");
        }
    }
}
