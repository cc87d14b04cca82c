//! Preconditions (RFC 9110, section 13): has the client already got this answer, and is this what it means to change?
//!
//! Not by the crate `headers` (0.4), which takes what it cannot read for a tag that does not match: `If-None-Match: "abc` would let
//! a write pass whose condition nobody evaluated. It also splits tags with commas, and panics in a debug build on `"a b"`.

mod tags;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use self::tags::Tags;
use crate::problem::Problem;

pub use crate::cache_control::REVALIDATED;

/// The preconditions of a request, as an extractor for every method that shows or changes something: `If-Match` and
/// `If-None-Match`.
///
/// What does not parse is a 400: a write that was meant to be conditional must not be made without its condition. The one exception is
/// `If-None-Match` of a `GET` or `HEAD`. There it matches nothing, which costs a full answer and never a wrong one.
#[derive(Clone, Debug)]
pub struct Preconditions {
    /// Whether the method is `GET` or `HEAD`.
    reads: bool,
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// What preconditions say about the state that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// They hold, or there are none: do what the request asks for.
    Perform,
    /// The client has this answer: 304.
    NotModified,
    /// One does not hold: 412, and nothing is done.
    Failed,
}

impl Preconditions {
    /// Reads them from the headers of a request of this method.
    pub fn of(method: &Method, headers: &HeaderMap) -> Result<Self, Problem> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let if_none_match = match read(headers, &header::IF_NONE_MATCH, Tags::parse) {
            Err(_) if reads => {
                let leniently = |list: &str| Some(Tags::parse_leniently(list));
                read(headers, &header::IF_NONE_MATCH, leniently)?
            }
            result => result?,
        };
        Ok(Self {
            reads,
            if_match: read(headers, &header::IF_MATCH, Tags::parse)?,
            if_none_match,
        })
    }

    /// Evaluates them against something that exists and has this `etag`, or none, in the order of section 13.2.2: `If-Match` first.
    ///
    /// `etag` is written as in the `ETag` header, quotes included. For a change, call it in the transaction of the change: of two
    /// writers that name the same version, the second must find it gone. Do not call it for what would be refused without
    /// preconditions, such as by 404: then they do not count (section 13.2.1).
    pub fn evaluate(&self, etag: Option<&str>) -> Evaluation {
        let matches = |tags: &Tags| tags.match_strongly(etag);
        if !self.if_match.as_ref().is_none_or(matches) {
            return Evaluation::Failed;
        }
        let held = |tags: &Tags| tags.match_weakly(etag);
        match (self.if_none_match.as_ref().is_some_and(held), self.reads) {
            (false, _) => Evaluation::Perform,
            (true, true) => Evaluation::NotModified,
            (true, false) => Evaluation::Failed,
        }
    }

    /// Whether a change of what has this `etag` may be made.
    pub fn allow(&self, etag: &str) -> bool {
        self.evaluate(Some(etag)) == Evaluation::Perform
    }

    /// Whether a reader that asks for what does not exist holds this absence already, by its `etag`.
    ///
    /// `*` asks for anything at all, and an absence is nothing (section 13.1.2).
    pub fn hold_absence(&self, etag: &str) -> bool {
        let names = |tags: &Tags| !matches!(tags, Tags::Any) && tags.match_weakly(Some(etag));
        self.reads && self.if_none_match.as_ref().is_some_and(names)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Preconditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.method, &parts.headers)
    }
}

/// The answer to a reader that holds the answer with this `etag` already.
pub fn not_modified(etag: String) -> Response {
    (StatusCode::NOT_MODIFIED, [REVALIDATED], [(header::ETAG, etag)]).into_response()
}

fn read(
    headers: &HeaderMap,
    name: &HeaderName,
    parse: impl FnOnce(&str) -> Option<Tags>,
) -> Result<Option<Tags>, Problem> {
    // A tag may hold bytes that are no text. None of ours does, so it does not matter which.
    let lines = headers.get_all(name).iter();
    let lines: Vec<_> = lines
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let tags = parse(&lines.join(",")).ok_or_else(|| {
        let name = if *name == header::IF_MATCH {
            "If-Match"
        } else {
            "If-None-Match"
        };
        Problem::from_status(StatusCode::BAD_REQUEST).with_detail(format!(
            r#"{name} must be * or a list of entity tags, such as "a", "b""#
        ))
    })?;
    Ok(Some(tags))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::Evaluation::{Failed, NotModified, Perform};
    use super::*;

    const ETAG: &str = r#""abc-3""#;
    const WRITES: [Method; 4] = [Method::POST, Method::PATCH, Method::PUT, Method::DELETE];
    const READS: [Method; 2] = [Method::GET, Method::HEAD];

    fn preconditions(method: &Method, lines: &[(HeaderName, &[u8])]) -> Result<Preconditions, Problem> {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(name, HeaderValue::from_bytes(line).unwrap());
        }
        Preconditions::of(method, &headers)
    }

    fn evaluated(method: &Method, name: &HeaderName, lines: &[&str]) -> Evaluation {
        let lines: Vec<_> = lines.iter().map(|line| (name.clone(), line.as_bytes())).collect();
        preconditions(method, &lines).unwrap().evaluate(Some(ETAG))
    }

    /// Whether `If-None-Match` names the tag.
    fn names(lines: &[&str]) -> bool {
        evaluated(&Method::GET, &header::IF_NONE_MATCH, lines) == NotModified
    }

    fn allows(lines: &[&str]) -> bool {
        evaluated(&Method::PATCH, &header::IF_MATCH, lines) == Perform
    }

    #[test]
    fn the_same_tag_matches_strong_or_weak() {
        assert!(names(&[r#""abc-3""#]));
        assert!(names(&[r#"W/"abc-3""#]));
    }

    #[test]
    fn any_tag_of_a_list_matches() {
        assert!(names(&[r#""x", W/"y" ,"abc-3""#]));
        assert!(names(&[r#""x""#, r#""abc-3""#]));
        assert!(names(&[r#""with, comma","abc-3""#]));
        assert!(names(&[r#","abc-3""#]));
    }

    #[test]
    fn a_star_matches_alone() {
        assert!(names(&["*"]));
        assert!(names(&[" * "]));
        assert!(!names(&[r#""*""#]));
    }

    #[test]
    fn other_tags_do_not_match() {
        assert!(!names(&[]));
        assert!(!names(&[""]));
        assert!(!names(&[r#""abc-30""#]));
        assert!(!names(&[r#""x,abc-3"""#]));
    }

    #[test]
    fn what_does_not_parse_matches_nothing_for_a_reader() {
        assert!(!names(&["abc-3"]));
        assert!(!names(&[r#""abc-3"#]));
        assert!(!names(&[r#"w/"abc-3""#]));
        assert!(names(&[r#""abc-3", x"#]), "what comes before it does");
    }

    #[test]
    fn what_if_none_match_names_is_not_changed() {
        for method in WRITES {
            let evaluated = |line| evaluated(&method, &header::IF_NONE_MATCH, &[line]);
            for named in ["*", ETAG, r#"W/"abc-3""#, r#""x", "abc-3""#] {
                assert_eq!(evaluated(named), Failed, "{method} {named}");
            }
            assert_eq!(evaluated(r#""x""#), Perform, "{method}");
        }
    }

    #[test]
    fn if_match_holds_for_readers_too_and_is_evaluated_first() {
        for method in READS.iter().chain(&WRITES) {
            assert_eq!(
                evaluated(method, &header::IF_MATCH, &[r#""x""#]),
                Failed,
                "{method}"
            );
            assert_eq!(evaluated(method, &header::IF_MATCH, &[ETAG]), Perform, "{method}");
            let both = |if_match: &str| {
                let lines = [
                    (header::IF_NONE_MATCH, ETAG.as_bytes()),
                    (header::IF_MATCH, if_match.as_bytes()),
                ];
                preconditions(method, &lines).unwrap().evaluate(Some(ETAG))
            };
            assert_eq!(both(r#""x""#), Failed, "{method}");
            let named = if READS.contains(method) {
                NotModified
            } else {
                Failed
            };
            assert_eq!(both(ETAG), named, "{method}");
        }
    }

    #[test]
    fn what_has_no_tag_is_named_by_a_star_alone() {
        for (name, line, expected) in [
            (header::IF_MATCH, "*", Perform),
            (header::IF_MATCH, ETAG, Failed),
            (header::IF_NONE_MATCH, "*", Failed),
            (header::IF_NONE_MATCH, ETAG, Perform),
        ] {
            let lines = [(name, line.as_bytes())];
            let preconditions = preconditions(&Method::POST, &lines).unwrap();
            assert_eq!(preconditions.evaluate(None), expected, "{lines:?}");
        }
    }

    #[test]
    fn an_absence_is_held_by_its_tag_and_not_by_a_star() {
        let holds = |method: &Method, line: &str| {
            let lines = [(header::IF_NONE_MATCH, line.as_bytes())];
            preconditions(method, &lines).unwrap().hold_absence(ETAG)
        };
        assert!(holds(&Method::GET, ETAG));
        assert!(!holds(&Method::GET, "*"));
        assert!(!holds(&Method::GET, r#""x""#));
        assert!(!holds(&Method::DELETE, ETAG), "a write is not answered by 304");
    }

    #[test]
    fn a_change_is_allowed_if_the_header_names_its_version_or_is_absent() {
        assert!(allows(&[]));
        assert!(allows(&["*"]));
        assert!(allows(&[" * "]));
        assert!(allows(&[r#""abc-3""#]));
        assert!(allows(&[r#""x", W/"y" ,,"with,comma","abc-3" "#]));
        assert!(allows(&[r#""x""#, r#""abc-3""#]));
    }

    #[test]
    fn a_change_is_not_allowed_of_another_version_or_by_a_weak_tag() {
        assert!(!allows(&[r#""abc-30""#]));
        assert!(!allows(&[r#""ABC-3""#]));
        assert!(!allows(&[r#"W/"abc-3""#]));
        assert!(!allows(&[r#""*""#]));
        assert!(!allows(&[r#""x,abc-3""#]));
        assert!(!allows(&[""]), "an empty list is a list");
        let no_text = preconditions(&Method::PATCH, &[(header::IF_MATCH, b"\"\xff\"")]).unwrap();
        assert!(!no_text.allow(ETAG));
        let itself = preconditions(&Method::PATCH, &[(header::IF_MATCH, ETAG.as_bytes())]).unwrap();
        assert!(!itself.allow(r#"W/"abc-3""#), "what is weak never matches");
    }

    #[test]
    fn a_condition_that_does_not_parse_is_refused() {
        for lines in [
            &["abc-3"][..],
            &[r#""abc-3"#],
            &[r#"w/"abc-3""#],
            &[r#"W/ "abc-3""#],
            &[r#""abc-3" "x""#],
            &[r#""abc-3", x"#],
            &[r#""abc-3", *"#],
            &["*", r#""abc-3""#],
            &[r#""a b""#],
        ] {
            let refused = |method: &Method, name: HeaderName| {
                let lines: Vec<_> = lines.iter().map(|line| (name.clone(), line.as_bytes())).collect();
                preconditions(method, &lines)
                    .err()
                    .map(|problem| problem.status())
            };
            let bad = Some(StatusCode::BAD_REQUEST);
            for method in READS.iter().chain(&WRITES) {
                assert_eq!(refused(method, header::IF_MATCH), bad, "{method} {lines:?}");
            }
            for method in &WRITES {
                assert_eq!(refused(method, header::IF_NONE_MATCH), bad, "{method} {lines:?}");
            }
        }
    }
}
