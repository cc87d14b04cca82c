//! The values that flags take.

use reqwest::Url;

use crate::results::Injected;
use stack::Source;

/// The longest latency that the sources let be injected.
const LONGEST_INJECTED_MS: u64 = 9_000;

/// How many reads come to each write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MixName {
    /// As lobste.rs counted.
    Lobsters,
    /// As many writes as reads.
    WriteHeavy,
    /// So many.
    Number(f64),
}

pub(super) fn mix(text: &str) -> Result<MixName, String> {
    match text {
        "lobsters" => Ok(MixName::Lobsters),
        "write-heavy" => Ok(MixName::WriteHeavy),
        number => positive(number)
            .map(MixName::Number)
            .map_err(|_| "`lobsters`, `write-heavy` or a number above 0 is needed".to_owned()),
    }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && f64::is_finite(number) => Ok(number),
        _ => Err("a number above 0 is needed".to_owned()),
    }
}

pub(super) fn injected(text: &str) -> Result<Injected, String> {
    let form = || "a source and a time in milliseconds are needed, such as metrics=500ms".to_owned();
    let (source, time) = text.split_once('=').ok_or_else(form)?;
    let source = Source::named(source)
        .ok_or_else(|| format!("a source is one of {}", Source::ALL.map(Source::name).join(", ")))?;
    let latency_ms = time
        .strip_suffix("ms")
        .and_then(|number| number.parse().ok())
        .ok_or_else(form)?;
    if latency_ms > LONGEST_INJECTED_MS {
        return Err(format!("{LONGEST_INJECTED_MS} ms is the most"));
    }
    Ok(Injected {
        source: source.name().to_owned(),
        latency_ms,
    })
}

pub(super) fn root(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.scheme() == "http" {
        Ok(url)
    } else {
        Err("an http address is needed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_a_name_or_a_number() {
        assert_eq!(mix("lobsters"), Ok(MixName::Lobsters));
        assert_eq!(mix("write-heavy"), Ok(MixName::WriteHeavy));
        assert_eq!(mix("2.5"), Ok(MixName::Number(2.5)));
        assert!(mix("inf").is_err());
    }

    #[test]
    fn latency_is_injected_into_a_source() {
        let slow = injected("metrics=500ms").unwrap();
        assert_eq!((slow.source.as_str(), slow.latency_ms), ("metrics", 500));
        for text in [
            "metrics=500",
            "metrics=-1ms",
            "metrics=9001ms",
            "nats=1ms",
            "metrics",
        ] {
            assert!(injected(text).is_err(), "{text}");
        }
    }
}
