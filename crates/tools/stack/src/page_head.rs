//! The headers of a page, taken apart.

use reqwest::header::HeaderMap;

use crate::version::versions_in_token;
use crate::{Moment, PerSource, Source, Version};

/// What the headers of a page say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageHead {
    /// The moment up to which the page claims to be complete.
    pub fresh_as_of: Option<Moment>,
    /// How the cache came by it; none if it says no such thing.
    pub outcome: Option<Outcome>,
    /// Whether another reader's requests were waited for.
    pub collapsed: bool,
    /// What it says of each fragment.
    pub marks: PerSource<Mark>,
    /// The version of each fragment that it shows.
    pub versions: PerSource<Option<Version>>,
    /// The requests to sources that it waited for.
    pub asked: Asked,
    /// `Cache-Status` as it came.
    pub cache_status: String,
    /// `Preference-Applied` as it came: what of the reader's `Prefer` was honoured.
    pub preference_applied: String,
    /// Its validator.
    pub etag: String,
    /// The trace of its request.
    pub trace_id: String,
}

/// How a cache came by an answer, by its `Cache-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It had it.
    Hit,
    /// It had none.
    Miss,
    /// What it had was not proven any more.
    Stale,
    /// The reader asked for more than it had.
    Request,
    /// It does not keep any.
    Bypass,
}

/// What a page says of one fragment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// Nothing: it claims to be as fresh as the page's date.
    #[default]
    None,
    /// It is the last known one.
    Stale,
    /// It is not there.
    Missing,
    /// It falls short of the token that was asked with.
    Behind,
}

/// The requests to sources that an answer waited for, by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Full answers.
    pub new: u8,
    /// What was known was confirmed.
    pub not_modified: u8,
    /// No answer.
    pub failed: u8,
}

impl Outcome {
    /// The word of `Cache-Status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Request => "request",
            Self::Bypass => "bypass",
        }
    }
}

impl PageHead {
    /// Reads the headers of an account's page; or says what is wrong with its versions.
    pub fn read(headers: &HeaderMap, account: u64) -> Result<Self, &'static str> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let cache_status = text("cache-status");
        Ok(Self {
            fresh_as_of: Moment::parse(text("fresh-as-of")),
            outcome: outcome(cache_status),
            collapsed: words(cache_status).any(|word| word == "collapsed"),
            marks: marks(cache_status),
            versions: versions(text("consistency-token"), account)?,
            asked: asked(text("server-timing")),
            cache_status: cache_status.to_owned(),
            preference_applied: text("preference-applied").to_owned(),
            etag: text("etag").to_owned(),
            trace_id: text("trace-id").to_owned(),
        })
    }

    /// Whether it claims that nothing is wrong with the page.
    pub fn unmarked(&self) -> bool {
        self.detail().is_none()
    }

    /// `metrics stale` of `page; fwd=stale; detail="metrics stale"`: what a page says of itself that is not whole.
    pub fn detail(&self) -> Option<&str> {
        let (_, detail) = self.cache_status.split_once("detail=")?;
        Some(detail.trim_matches('"'))
    }
}

/// The versions in a `Consistency-Token` of an account.
fn versions(token: &str, account: u64) -> Result<PerSource<Option<Version>>, &'static str> {
    let mut versions = PerSource::default();
    for entry in versions_in_token(token) {
        let (source, of, version) = entry.ok_or("a Consistency-Token of another form")?;
        if of != account {
            return Err("the Consistency-Token of another account");
        }
        versions[source] = Some(version);
    }
    Ok(versions)
}

fn words(cache_status: &str) -> impl Iterator<Item = &str> {
    cache_status.split(';').map(str::trim).skip(1)
}

/// Reads `page; hit` or `page; fwd=miss; …`.
fn outcome(cache_status: &str) -> Option<Outcome> {
    words(cache_status).find_map(|word| match word {
        "hit" => Some(Outcome::Hit),
        "fwd=miss" => Some(Outcome::Miss),
        "fwd=stale" => Some(Outcome::Stale),
        "fwd=request" => Some(Outcome::Request),
        "fwd=bypass" => Some(Outcome::Bypass),
        _ => None,
    })
}

/// Reads `detail="metrics stale, accounts behind"`. What is stale and behind is stale.
fn marks(cache_status: &str) -> PerSource<Mark> {
    let mut marks = PerSource::default();
    let detail = cache_status.split("detail=\"").nth(1).unwrap_or_default();
    for entry in detail.trim_end_matches('"').split(", ") {
        let Some((name, word)) = entry.split_once(' ') else {
            continue;
        };
        let mark = match word {
            "stale" => Mark::Stale,
            "missing" => Mark::Missing,
            "behind" => Mark::Behind,
            _ => continue,
        };
        if let Some(source) = Source::named(name)
            && matches!(marks[source], Mark::None | Mark::Behind)
        {
            marks[source] = mark;
        }
    }
    marks
}

/// Reads `accounts;dur=1.2;desc="not modified", …`.
fn asked(server_timing: &str) -> Asked {
    let count = |what: &str| {
        let entries = server_timing.matches(&format!("desc=\"{what}\"")).count();
        u8::try_from(entries).unwrap_or(u8::MAX)
    };
    Asked {
        new: count("new"),
        not_modified: count("not modified"),
        failed: count("failure"),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

    use super::*;

    const ACCOUNTS: &str = "00000000000000aa0000000000000001";
    const ENDPOINTS: &str = "00000000000000bb0000000000000001";
    const CLAIM: &str = "5feceb66ffc86f38";

    fn read(headers: &[(&'static str, &str)]) -> Result<PageHead, &'static str> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        PageHead::read(&headers.collect(), 7)
    }

    #[test]
    fn a_page_is_taken_apart() {
        let token = format!(
            "accounts/7/{ACCOUNTS}=3-9f86d081884c7d65-{CLAIM}, endpoints/7/{ENDPOINTS}=9-9f86d081884c7d65"
        );
        let status = "page; fwd=stale; stored; collapsed; detail=\"endpoints stale, metrics missing\"";
        let timing =
            "cache;dur=4.0, accounts;dur=1.0;desc=\"not modified\", metrics;dur=3.0;desc=\"failure\"";
        let head = read(&[
            ("consistency-token", &token),
            ("fresh-as-of", "2026-11-22T21:18:03.042Z"),
            ("cache-status", status),
            ("server-timing", timing),
            ("preference-applied", "wait-ms=150"),
            ("etag", "W/\"json-24h-3.~9.x-cafe\""),
        ]);
        let head = head.unwrap();
        assert_eq!(head.fresh_as_of, Moment::parse("2026-11-22T21:18:03.042Z"));
        assert_eq!((head.outcome, head.collapsed), (Some(Outcome::Stale), true));
        let marks = [(Source::Endpoints, Mark::Stale), (Source::Metrics, Mark::Missing)];
        assert_eq!(head.marks, PerSource::from_iter(marks));
        assert!(!head.unmarked());
        assert_eq!(head.detail(), Some("endpoints stale, metrics missing"));
        assert_eq!(head.preference_applied, "wait-ms=150");
        let revisions = head
            .versions
            .map(|version| version.map(|version| version.revision));
        let shown = [(Source::Accounts, Some(3)), (Source::Endpoints, Some(9))];
        assert_eq!(revisions, PerSource::from_iter(shown));
        let asked = Asked {
            new: 0,
            not_modified: 1,
            failed: 1,
        };
        assert_eq!(head.asked, asked);
    }

    #[test]
    fn what_is_no_token_of_this_account_is_refused() {
        let other = format!("accounts/8/{ACCOUNTS}=3-9f86d081884c7d65");
        for token in ["accounts", "accounts/7=3", "page/7/aa=3", &other] {
            assert!(read(&[("consistency-token", token)]).is_err(), "{token}");
        }
        assert_eq!(read(&[]).unwrap(), PageHead::default());
    }

    #[test]
    fn every_way_of_coming_by_an_answer_is_told_apart() {
        let outcome = |status: &str| read(&[("cache-status", status)]).unwrap().outcome;
        for expected in [Outcome::Miss, Outcome::Stale, Outcome::Request, Outcome::Bypass] {
            assert_eq!(
                outcome(&format!("page; fwd={}; stored", expected.name())),
                Some(expected)
            );
        }
        assert_eq!(outcome("page; hit"), Some(Outcome::Hit));
        assert_eq!(outcome("page; fwd=vary-miss"), None);
    }

    #[test]
    fn a_hit_is_a_hit_with_and_without_detail() {
        let degraded = read(&[(
            "cache-status",
            "page; hit; detail=\"metrics stale, metrics behind, accounts behind\"",
        )])
        .unwrap();
        assert_eq!(degraded.outcome, Some(Outcome::Hit));
        let marks = [(Source::Accounts, Mark::Behind), (Source::Metrics, Mark::Stale)];
        assert_eq!(degraded.marks, PerSource::from_iter(marks));
    }
}
