//! What the body of a page shows, compared with its headers.

use std::borrow::Cow;

use serde::Deserialize;
use stack::{PageAnswer, PerSource, Source};

use crate::history::Fragment;

/// Part of the reason that a page gives for a fragment that missed the reader's wait. If the page's words change, a run says that
/// no reader gave up, and the test of a short run fails.
const NOT_IN_TIME: &str = "within the reader's wait";

/// The document, as far as it is looked at.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    account: Option<Account<'a>>,
    endpoints: Option<Endpoints<'a>>,
    metrics: Option<Metrics>,
}

/// What the document says is wrong with its fragments.
#[derive(Default, Deserialize)]
struct Troubles<'a> {
    #[serde(borrow)]
    missing: Vec<Trouble<'a>>,
    #[serde(borrow)]
    stale: Vec<Trouble<'a>>,
}

#[derive(Deserialize)]
struct Trouble<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
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

/// The fragments that an answer shows; or where its headers and its body contradict each other.
pub(super) fn fragments(answer: &PageAnswer) -> Result<PerSource<Option<Fragment>>, String> {
    let shown = match answer.status {
        200 => shown(&answer.body)?,
        _ => PerSource::default(),
    };
    let mut fragments = PerSource::default();
    for (source, version) in answer.head.versions.iter() {
        fragments[source] = match (*version, shown[source]) {
            (Some(version), Some((revision, serial))) if version.revision == revision => {
                Some(Fragment { version, serial })
            }
            (Some(version), None) if answer.status == 404 => Some(Fragment {
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
    Ok(fragments)
}

/// Whether the page marks a fragment because it did not arrive within its reader's wait.
pub(super) fn timed_out(answer: &PageAnswer) -> bool {
    let troubles: Troubles<'_> = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut all = troubles.missing.iter().chain(&troubles.stale);
    answer.status == 200 && all.any(|trouble| trouble.reason.contains(NOT_IN_TIME))
}

/// A fragment in the body: its revision, and the highest serial number in its names.
type Shown = (u64, Option<u64>);

fn shown(body: &[u8]) -> Result<PerSource<Option<Shown>>, String> {
    let page: Page<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Ok(PerSource::from_fn(|source| page.fragment(source)))
}

impl Page<'_> {
    /// What it shows of a source's fragment; none if that is missing.
    fn fragment(&self, source: Source) -> Option<Shown> {
        match source {
            Source::Accounts => {
                let fragment = self.account.as_ref()?;
                Some((fragment.revision, serial(fragment.name)))
            }
            Source::Endpoints => {
                let fragment = self.endpoints.as_ref()?;
                let serials = fragment
                    .endpoints
                    .iter()
                    .filter_map(|endpoint| serial(endpoint.name));
                Some((fragment.revision, serials.max()))
            }
            Source::Metrics => Some((self.metrics.as_ref()?.revision, None)),
        }
    }
}

/// The number in `name #17`.
fn serial(name: &str) -> Option<u64> {
    name.rsplit_once('#')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use stack::{Incarnation, Moment, PageHead, Version};

    use super::*;

    fn answer(status: u16, revisions: &[(Source, u64)], body: &'static str) -> PageAnswer {
        let version = |revision| Version {
            incarnation: Incarnation(0xaa),
            revision,
            nonce: 1,
        };
        let versions = revisions.iter();
        let head = PageHead {
            versions: versions
                .map(|&(source, revision)| (source, Some(version(revision))))
                .collect(),
            ..PageHead::default()
        };
        let (sent, sent_at) = (Instant::now(), Moment::START);
        PageAnswer {
            status,
            sent,
            sent_at,
            received: sent,
            received_at: sent_at,
            head,
            body: body.into(),
        }
    }

    #[test]
    fn a_fragment_has_the_version_of_the_header_and_the_highest_serial_of_the_body() {
        let body = r#"{"account":{"id":7,"revision":3,"name":"page #31"},"endpoints":{"revision":9,"endpoints":[
            {"id":1,"name":"a #40"},{"id":2,"name":"b #12"}]},"metrics":null,"missing":[{}],"stale":[{}]}"#;
        let fragments = fragments(&answer(
            200,
            &[(Source::Accounts, 3), (Source::Endpoints, 9)],
            body,
        ))
        .unwrap();
        let shown =
            fragments.map(|fragment| fragment.map(|fragment| (fragment.version.revision, fragment.serial)));
        let expected = [
            (Source::Accounts, Some((3, Some(31)))),
            (Source::Endpoints, Some((9, Some(40)))),
        ];
        assert_eq!(shown, PerSource::from_iter(expected));
    }

    #[test]
    fn a_header_that_says_another_revision_than_the_body_is_nonsense() {
        let body = r#"{"account":{"revision":3,"name":"x"},"endpoints":null,"metrics":null}"#;
        assert!(fragments(&answer(200, &[(Source::Accounts, 4)], body)).is_err());
        assert!(fragments(&answer(200, &[], body)).is_err(), "nor is no header");
    }

    #[test]
    fn a_page_that_its_reader_did_not_wait_for_is_known_by_its_reasons() {
        let late = r#"{"missing":[],"stale":[{"source":"metrics","reason":"did not answer within the reader's wait"}]}"#;
        assert!(timed_out(&answer(200, &[], late)));
        let failed = r#"{"missing":[{"source":"metrics","reason":"timed \"out\""}],"stale":[]}"#;
        assert!(!timed_out(&answer(200, &[], failed)));
        assert!(!timed_out(&answer(404, &[], "{}")));
    }

    #[test]
    fn an_absence_may_have_a_version() {
        let absent = fragments(&answer(404, &[(Source::Accounts, 4)], "{}")).unwrap();
        assert_eq!(absent[Source::Accounts].unwrap().version.revision, 4);
        assert_eq!(fragments(&answer(404, &[], "{}")).unwrap(), PerSource::default());
    }
}
