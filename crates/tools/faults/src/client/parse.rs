//! The headers and the body of a page, taken apart.

use reqwest::header::{HeaderMap, HeaderName};
use serde::Deserialize;

use super::Wanted;
use crate::history::{Arm, Asked, Incarnation, Mark, Outcome, Part, Replica, Response, Source, Version};
use stack::Moment;

pub(super) const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// Everything but the body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
}

impl Head {
    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The document, as far as it is looked at.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    account: Option<Account<'a>>,
    endpoints: Option<Endpoints<'a>>,
    metrics: Option<Metrics>,
}

#[derive(Deserialize)]
struct Account<'a> {
    revision: u64,
    name: &'a str,
}

#[derive(Deserialize)]
struct Endpoints<'a> {
    revision: u64,
    #[serde(borrow)]
    endpoints: Vec<Endpoint<'a>>,
}

#[derive(Deserialize)]
struct Endpoint<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct Metrics {
    revision: u64,
}

/// The answer, still without who gave it and when; or what is wrong with it.
pub(super) fn response(head: &Head, body: &[u8], wanted: &Wanted) -> Result<Response, String> {
    let versions = versions(head, wanted)?;
    let status = head.text("cache-status").unwrap_or_default();
    let shown = match head.status {
        200 => shown(body)?,
        _ => [None; 3],
    };
    let mut parts = [None; 3];
    for source in Source::ALL {
        let index = source.index();
        parts[index] = match (versions[index], shown[index]) {
            (Some(version), Some((revision, serial))) if version.revision == revision => {
                Some(Part { version, serial })
            }
            (Some(version), None) if head.status == 404 => Some(Part {
                version,
                serial: None,
            }),
            (None, None) => None,
            (version, shown) => {
                let shown = shown.map(|(revision, _)| revision);
                return Err(format!(
                    "{source}: the header says {version:?}, the body shows revision {shown:?}"
                ));
            }
        };
    }
    Ok(Response {
        replica: Replica {
            arm: Arm::Page,
            index: 0,
        },
        life: None,
        account: wanted.account,
        window: wanted.window,
        sent_at: Moment::START,
        received_at: Moment::START,
        status: head.status,
        fresh_as_of: head.text("fresh-as-of").and_then(Moment::parse),
        outcome: outcome(status),
        marks: marks(status),
        parts,
        demanded: wanted.token.as_ref().map(|token| (token.source, token.version)),
        afresh: wanted.afresh,
        asked: asked(head.text("server-timing").unwrap_or_default()),
    })
}

fn versions(head: &Head, wanted: &Wanted) -> Result<[Option<Version>; 3], String> {
    let mut versions = [None; 3];
    let token = head.text(CONSISTENCY_TOKEN.as_str()).unwrap_or_default();
    for (source, account, version) in versions_in_token(token) {
        if account != wanted.account {
            return Err(format!("asked for account {}, shown {account}", wanted.account));
        }
        versions[source.index()] = Some(version);
    }
    Ok(versions)
}

/// A part in the body: its revision, and the highest serial number in its names.
type Shown = (u64, Option<u64>);

fn shown(body: &[u8]) -> Result<[Option<Shown>; 3], String> {
    let page: Page<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Ok([
        page.account.map(|part| (part.revision, serial(part.name))),
        page.endpoints.map(|part| {
            let serials = part.endpoints.iter().filter_map(|endpoint| serial(endpoint.name));
            (part.revision, serials.max())
        }),
        page.metrics.map(|part| (part.revision, None)),
    ])
}

/// The number in `name #17`.
fn serial(name: &str) -> Option<u64> {
    name.rsplit_once('#')?.1.parse().ok()
}

/// Reads `accounts/7/<incarnation>=<revision>-<nonce>, …`, with a claim behind it or not; what is not of this form is left out.
pub fn versions_in_token(text: &str) -> impl Iterator<Item = (Source, u64, Version)> {
    text.split(',').filter_map(|entry| {
        let (path, state) = entry.trim().split_once('=')?;
        let mut state = state.split('-');
        let (revision, nonce) = (state.next()?, state.next()?);
        let mut words = path.split('/');
        let (source, account) = (Source::named(words.next()?)?, words.next()?.parse().ok()?);
        let version = Version {
            incarnation: incarnation(words.next()?)?,
            revision: revision.parse().ok()?,
            nonce: digits(nonce)?,
        };
        Some((source, account, version))
    })
}

/// Reads `"<incarnation>-<revision>-<nonce>-…"`.
pub fn version_in_tag(tag: &str) -> Option<Version> {
    let mut words = tag.trim_matches('"').split('-');
    Some(Version {
        incarnation: incarnation(words.next()?)?,
        revision: words.next()?.parse().ok()?,
        nonce: digits(words.next()?)?,
    })
}

/// The first half of the 32 digits.
fn incarnation(text: &str) -> Option<Incarnation> {
    let half = text.get(..16).filter(|_| text.len() == 32)?;
    digits(half).map(Incarnation)
}

/// A number of 16 hexadecimal digits.
fn digits(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)
}

fn outcome(cache_status: &str) -> Outcome {
    let mut words = cache_status.split(';').map(str::trim);
    if words.clone().any(|word| word == "hit") {
        return Outcome::Hit;
    }
    Outcome::Forwarded {
        collapsed: words.any(|word| word == "collapsed"),
    }
}

/// Reads `detail="metrics stale, accounts behind"`. What is stale and behind is stale.
fn marks(cache_status: &str) -> [Mark; 3] {
    let mut marks = [Mark::None; 3];
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
            && matches!(marks[source.index()], Mark::None | Mark::Behind)
        {
            marks[source.index()] = mark;
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
    use super::*;
    use crate::history::Window;

    const ACCOUNTS: &str = "00000000000000aa0000000000000001";
    const ENDPOINTS: &str = "00000000000000bb0000000000000001";
    const CLAIM: &str = "5feceb66ffc86f38";

    fn wanted() -> Wanted {
        Wanted {
            account: 7,
            window: Window::Day,
            afresh: false,
            token: None,
        }
    }

    fn head(status: u16, headers: &[(&'static str, &str)]) -> Head {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        Head {
            status,
            headers: headers.collect(),
        }
    }

    fn version(incarnation: u64, revision: u64) -> Version {
        Version {
            incarnation: Incarnation(incarnation),
            revision,
            nonce: 0x9f86_d081_884c_7d65,
        }
    }

    #[test]
    fn a_page_is_taken_apart() {
        let token = format!(
            "accounts/7/{ACCOUNTS}=3-9f86d081884c7d65-{CLAIM}, endpoints/7/{ENDPOINTS}=9-9f86d081884c7d65"
        );
        let head = head(
            200,
            &[
                ("consistency-token", &token),
                ("fresh-as-of", "2026-11-22T21:18:03.042Z"),
                (
                    "cache-status",
                    "page; fwd=stale; stored; collapsed; detail=\"endpoints stale, metrics missing\"",
                ),
                (
                    "server-timing",
                    "cache;dur=4.0, accounts;dur=1.0;desc=\"not modified\", metrics;dur=3.0;desc=\"failure\"",
                ),
            ],
        );
        let body =
            br#"{"account":{"id":7,"revision":3,"name":"page #31"},"endpoints":{"revision":9,"endpoints":[
            {"id":1,"name":"a #40"},{"id":2,"name":"b #12"}]},"metrics":null,"missing":[{}],"stale":[{}]}"#;
        let response = response(&head, body, &wanted()).unwrap();
        assert_eq!(response.fresh_as_of, Moment::parse("2026-11-22T21:18:03.042Z"));
        assert_eq!(response.outcome, Outcome::Forwarded { collapsed: true });
        assert_eq!(response.marks, [Mark::None, Mark::Stale, Mark::Missing]);
        let part = |version, serial| Some(Part { version, serial });
        let parts = [
            part(version(0xaa, 3), Some(31)),
            part(version(0xbb, 9), Some(40)),
            None,
        ];
        assert_eq!(response.parts, parts);
        assert_eq!(
            response.asked,
            Asked {
                new: 0,
                not_modified: 1,
                failed: 1
            }
        );
    }

    #[test]
    fn a_header_that_says_another_revision_than_the_body_is_nonsense() {
        let token = format!("accounts/7/{ACCOUNTS}=4-9f86d081884c7d65");
        let body = br#"{"account":{"revision":3,"name":"x"},"endpoints":null,"metrics":null}"#;
        assert!(response(&head(200, &[("consistency-token", &token)]), body, &wanted()).is_err());
        assert!(
            response(&head(200, &[]), body, &wanted()).is_err(),
            "nor is no header"
        );
        let other = format!("accounts/8/{ACCOUNTS}=3-9f86d081884c7d65");
        assert!(response(&head(200, &[("consistency-token", &other)]), body, &wanted()).is_err());
    }

    #[test]
    fn an_absence_may_have_a_version() {
        let token = format!("accounts/7/{ACCOUNTS}=4-9f86d081884c7d65");
        let absent = response(&head(404, &[("consistency-token", &token)]), b"{}", &wanted()).unwrap();
        assert_eq!(absent.parts[0].unwrap().version, version(0xaa, 4));
        let absent = response(&head(404, &[]), b"{}", &wanted()).unwrap();
        assert_eq!(absent.parts, [None; 3]);
    }

    #[test]
    fn a_hit_is_a_hit_with_and_without_detail() {
        assert_eq!(outcome("page; hit"), Outcome::Hit);
        let degraded = "page; hit; detail=\"metrics stale, metrics behind, accounts behind\"";
        assert_eq!(outcome(degraded), Outcome::Hit);
        assert_eq!(marks(degraded), [Mark::Behind, Mark::None, Mark::Stale]);
        assert_eq!(
            outcome("page; fwd=miss; stored"),
            Outcome::Forwarded { collapsed: false }
        );
    }

    #[test]
    fn a_tag_gives_its_version_with_and_without_a_bucket() {
        let tag = format!("\"{ACCOUNTS}-17-9f86d081884c7d65-v1\"");
        assert_eq!(version_in_tag(&tag), Some(version(0xaa, 17)));
        let tag = format!("\"{ACCOUNTS}-17-9f86d081884c7d65-v1-1700000000\"");
        assert_eq!(version_in_tag(&tag), Some(version(0xaa, 17)));
        assert_eq!(version_in_tag(&format!("\"{ACCOUNTS}-17\"")), None);
    }
}
