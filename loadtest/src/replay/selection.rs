//! Which part of which trace is replayed, how fast, and through which stack.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::config::{ReplayConfig, StackConfig};
use crate::workload::{Trace, TraceName};

/// How a trace is replayed by default: as much of it, and as fast, as two busy processors keep up with.
struct Defaults {
    compression: f64,
    one_key_in: u32,
    /// In seconds.
    part: Range<u32>,
}

impl Defaults {
    const fn of(trace: TraceName) -> Self {
        match trace {
            TraceName::Twitter52 => Self {
                compression: 60.0,
                one_key_in: 16,
                part: 0..u32::MAX,
            },
            // Nearly all that was read from this disk was read in three minutes of the hour.
            TraceName::Cloudphysics => Self {
                compression: 3.0,
                one_key_in: 16,
                part: 1_680..1_980,
            },
        }
    }
}

/// Reads the requests that are to be replayed.
pub fn read(config: &ReplayConfig) -> Result<Trace> {
    let defaults = Defaults::of(config.trace);
    let one_in = config.one_key_in.unwrap_or(defaults.one_key_in);
    let second = |asked: Option<u32>, default| Duration::from_secs(asked.unwrap_or(default).into());
    let part = second(config.from, defaults.part.start)..second(config.until, defaults.part.end);
    Trace::read(&config.run.stack.traces, config.trace, one_in, part)
}

/// The stack that a replay needs: one of its own, because a TTL shrinks with the time in which it is replayed. Who names a
/// running one has seen to that.
pub fn stack(config: &ReplayConfig) -> Result<StackConfig> {
    let mut stack = config.run.stack.clone();
    if stack.page_url.is_none() {
        stack.own_stack = true;
        stack.ttl_seconds = compressed_ttl(stack.ttl_seconds, config.compression())?;
    }
    Ok(stack)
}

fn compressed_ttl(ttl_seconds: u32, compression: f64) -> Result<u32> {
    let seconds = f64::from(ttl_seconds) / compression;
    let whole = seconds.round();
    ensure!(
        whole >= 1.0 && (seconds - whole).abs() < 1e-9,
        "a TTL of {ttl_seconds} s, replayed {compression} times as fast, is {seconds:.2} s, but the page takes whole seconds: \
         choose a --compression that divides --ttl-seconds"
    );
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to a u32"
    )]
    let whole = whole as u32;
    Ok(whole)
}

impl ReplayConfig {
    /// How many times faster than it was recorded.
    pub(super) fn compression(&self) -> f64 {
        self.compression.unwrap_or(Defaults::of(self.trace).compression)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::{Command, Config};
    use crate::stack::Which;

    #[test]
    fn a_ttl_shrinks_with_the_time_to_whole_seconds() {
        assert_eq!(compressed_ttl(60, 60.0).unwrap(), 1);
        assert_eq!(compressed_ttl(60, 7.5).unwrap(), 8);
        assert_eq!(compressed_ttl(60, 1.0).unwrap(), 60);
        for compression in [45.0, 120.0, 1000.0] {
            let refusal = compressed_ttl(60, compression).unwrap_err().to_string();
            assert!(refusal.contains("--compression"), "{refusal}");
        }
    }

    #[test]
    fn by_default_a_replay_has_a_stack_of_its_own_and_takes_at_most_two_minutes() {
        for (arguments, ttl_seconds) in [("replay", 1), ("replay cloudphysics", 20)] {
            let words = ["loadtest"].into_iter().chain(arguments.split(' '));
            let Command::Replay(mut config) = Config::parse_from(words).wanted() else {
                panic!("{arguments} is no replay")
            };
            config.run.stack.traces = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/traces").into();
            let stack = stack(&config).unwrap();
            assert_eq!((stack.which(), stack.ttl_seconds), (Which::Own, ttl_seconds));
            let lasting = read(&config).unwrap().length().div_f64(config.compression());
            assert!((60..=120).contains(&lasting.as_secs()), "{lasting:?}");
        }
    }
}
