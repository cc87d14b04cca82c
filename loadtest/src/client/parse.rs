//! The headers of a page and of a mutation, taken apart.

use jiff::Timestamp;
use reqwest::header::HeaderMap;

use crate::source::Source;

/// A version as its source counts: which of its databases, and how often the account's data changed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The id minted with the database.
    pub incarnation: u128,
    /// The revision in it.
    pub revision: u64,
}

/// What the versions of a page's parts are, by [`Source::index`]; none of a part that is missing.
pub type Versions = [Option<Version>; 3];

/// How the cache came by an answer.
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

/// Requests to the sources, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// A source answered them.
    pub answered: u64,
    /// They failed, or were not even sent.
    pub failed: u64,
}

/// What a page says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) versions: Versions,
    pub(super) fresh_as_of: Timestamp,
    pub(super) outcome: Outcome,
    pub(super) collapsed: bool,
    pub(super) marked: bool,
    pub(super) requests: Requests,
}

/// Reads the headers of the page of an account; or says what is wrong with them.
pub(super) fn page(headers: &HeaderMap, account: u64) -> Result<Said, &'static str> {
    let status = text(headers, "cache-status").ok_or("no Cache-Status")?;
    let tokens = text(headers, "consistency-token").ok_or("no Consistency-Token")?;
    let date = text(headers, "fresh-as-of").ok_or("no Fresh-As-Of")?;
    let marked = status.contains("; detail=");
    let versions = versions(tokens, account)?;
    if !marked && versions.iter().any(Option::is_none) {
        return Err("an unmarked page without one of its versions");
    }
    let collapsed = status.split(';').any(|word| word.trim() == "collapsed");
    Ok(Said {
        // Those of a shared composition are named in the answer to the reader who began it, too.
        requests: if collapsed {
            Requests::default()
        } else {
            requests(headers)
        },
        versions,
        fresh_as_of: date.parse().map_err(|_| "a Fresh-As-Of that is no date")?,
        outcome: outcome(status).ok_or("a Cache-Status of another kind")?,
        collapsed,
        marked,
    })
}

/// Reads the version that a mutation of an account at a source made.
pub(super) fn mutation(headers: &HeaderMap, source: Source, account: u64) -> Result<Version, &'static str> {
    let tokens = text(headers, "consistency-token").ok_or("no Consistency-Token")?;
    versions(tokens, account)?[source.index()].ok_or("a Consistency-Token of another source")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads `cache;dur=4.0, accounts;dur=3.2;desc="new", …`: after the cache's own time, each source that was asked.
fn requests(headers: &HeaderMap) -> Requests {
    let mut requests = Requests::default();
    for source in text(headers, "server-timing")
        .unwrap_or_default()
        .split(',')
        .skip(1)
    {
        if source.contains("desc=\"failure\"") {
            requests.failed += 1;
        } else {
            requests.answered += 1;
        }
    }
    requests
}

/// Reads `accounts/7/<incarnation>=<revision>-<nonce>, …`.
fn versions(tokens: &str, account: u64) -> Result<Versions, &'static str> {
    let mut versions = Versions::default();
    for word in tokens.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let (source, of, version) = token(word).ok_or("a Consistency-Token of another form")?;
        if of != account {
            return Err("the Consistency-Token of another account");
        }
        versions[source.index()] = Some(version);
    }
    Ok(versions)
}

fn token(word: &str) -> Option<(Source, u64, Version)> {
    let (of, state) = word.split_once('=')?;
    let (revision, _nonce) = state.split_once('-')?;
    let mut names = of.splitn(3, '/');
    let (source, account, incarnation) = (names.next()?, names.next()?, names.next()?);
    let version = Version {
        incarnation: u128::from_str_radix(incarnation, 16).ok()?,
        revision: revision.parse().ok()?,
    };
    Some((Source::named(source)?, account.parse().ok()?, version))
}

/// Reads `page; hit` or `page; fwd=miss; …`.
fn outcome(status: &str) -> Option<Outcome> {
    let mut words = status.split(';').map(str::trim).skip(1);
    words.find_map(|word| match word {
        "hit" => Some(Outcome::Hit),
        "fwd=miss" => Some(Outcome::Miss),
        "fwd=stale" => Some(Outcome::Stale),
        "fwd=request" => Some(Outcome::Request),
        "fwd=bypass" => Some(Outcome::Bypass),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

    use super::*;

    const ID: &str = "0199f7c5a1b27cc38d4e5f6071829304";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        lines.collect()
    }

    fn said(status: &str, tokens: &str) -> Result<Said, &'static str> {
        let lines = [
            ("cache-status", status),
            ("consistency-token", tokens),
            ("fresh-as-of", "2026-11-22T21:18:03.042Z"),
        ];
        page(&headers(&lines), 7)
    }

    fn whole() -> String {
        format!(
            "accounts/7/{ID}=3-9f86d081884c7d65, endpoints/7/{ID}=0-9f86d081884c7d65, metrics/7/{ID}=12-9f86d081884c7d65"
        )
    }

    #[test]
    fn a_page_is_taken_apart() {
        let said = said("page; fwd=stale; stored; collapsed", &whole()).unwrap();
        assert_eq!(said.versions.map(|version| version.unwrap().revision), [3, 0, 12]);
        assert_eq!(
            said.versions[0].unwrap().incarnation,
            u128::from_str_radix(ID, 16).unwrap()
        );
        assert_eq!(said.fresh_as_of, "2026-11-22T21:18:03.042Z".parse().unwrap());
        assert_eq!(
            (said.outcome, said.collapsed, said.marked),
            (Outcome::Stale, true, false)
        );
    }

    #[test]
    fn every_way_of_coming_by_an_answer_is_told_apart() {
        for expected in [Outcome::Miss, Outcome::Stale, Outcome::Request, Outcome::Bypass] {
            let status = format!("page; fwd={}; stored", expected.name());
            assert_eq!(said(&status, &whole()).unwrap().outcome, expected);
        }
        let hit = said("page; hit", &whole()).unwrap();
        assert_eq!((hit.outcome, hit.collapsed), (Outcome::Hit, false));
        assert!(said("page; fwd=vary-miss", &whole()).is_err());
    }

    #[test]
    fn an_answer_names_the_sources_that_were_asked_for_it() {
        let asked = |status: &str, timing: &str| {
            let lines = [
                ("cache-status", status),
                ("consistency-token", &whole()),
                ("fresh-as-of", "2026-11-22T21:18:03.042Z"),
                ("server-timing", timing),
            ];
            let requests = page(&headers(&lines), 7).unwrap().requests;
            (requests.answered, requests.failed)
        };
        assert_eq!(asked("page; hit", "cache;dur=0.042"), (0, 0));
        let two = "cache;dur=4.0, accounts;dur=3.2;desc=\"new\", metrics;dur=3.1;desc=\"not modified\"";
        assert_eq!(asked("page; fwd=stale; stored", two), (2, 0));
        assert_eq!(
            asked("page; fwd=stale; collapsed", two),
            (0, 0),
            "another answer names them"
        );
        let failed = two.replace("\"new\"", "\"failure\"");
        assert_eq!(asked("page; fwd=stale; stored", &failed), (1, 1));
    }

    #[test]
    fn only_a_marked_page_may_lack_a_part() {
        let two = format!("accounts/7/{ID}=3-9f86d081884c7d65, endpoints/7/{ID}=0-9f86d081884c7d65");
        let marked = said("page; hit; detail=\"metrics missing\"", &two).unwrap();
        assert!(marked.marked);
        assert_eq!(marked.versions[Source::Metrics.index()], None);
        assert!(said("page; hit", &two).is_err());
    }

    #[test]
    fn what_is_no_page_of_this_account_is_refused() {
        let other = whole().replace("endpoints/7", "endpoints/8");
        for tokens in ["", "accounts", "accounts/7=3", "page/7/aa=3", &other] {
            assert!(said("page; hit", tokens).is_err(), "{tokens}");
        }
        let lines = [("cache-status", "page; hit"), ("consistency-token", &whole())];
        assert_eq!(page(&headers(&lines), 7), Err("no Fresh-As-Of"));
    }

    #[test]
    fn a_mutation_tells_its_version() {
        let token = format!("metrics/7/{ID}=13-9f86d081884c7d65");
        let headers = headers(&[("consistency-token", &token)]);
        assert_eq!(mutation(&headers, Source::Metrics, 7).unwrap().revision, 13);
        assert!(mutation(&headers, Source::Accounts, 7).is_err());
        assert!(mutation(&headers, Source::Metrics, 8).is_err());
    }
}
