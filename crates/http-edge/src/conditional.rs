//! Conditional requests: has the client already got this answer, and is this what it means to change?

use std::convert::identity;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};

use crate::Problem;

const WHITESPACE: [char; 2] = [' ', '\t'];

/// Whether `If-None-Match` names `etag`, so that the answer is 304 (RFC 9110, 13.1.2: weak comparison).
///
/// `etag` is written as in the `ETag` header, quotes included. `*` matches: call this only where an answer exists.
/// What does not parse matches nothing, which costs a full answer and never a wrong one.
pub fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
    let wanted = opaque(etag.strip_prefix("W/").unwrap_or(etag));
    let lines = headers.get_all(header::IF_NONE_MATCH);
    lines
        .iter()
        .filter_map(|line| line.to_str().ok())
        .any(|line| is_star(line) || names(line, wanted))
}

fn names(line: &str, wanted: Option<&str>) -> bool {
    tags(line)
        .map_while(identity)
        .any(|tag| wanted == Some(tag.opaque))
}

/// The versions that `If-Match` lets a request change (RFC 9110, 13.1.1), as an extractor; all, if there is no such header.
///
/// What does not parse is a 400: a write that was meant to be conditional must not be made without its condition.
#[derive(Clone, Debug)]
pub struct IfMatch {
    /// The strong tags, without their quotes: a weak one never matches. None: whatever exists, as without the header.
    allowed: Option<Vec<String>>,
}

impl IfMatch {
    /// Whether what exists, and has this `etag`, may be changed (strong comparison); if not, the answer is 412.
    ///
    /// `etag` is written as in the `ETag` header, quotes included. Ask in the transaction of the change: of two writers
    /// that name the same version, the second must find it gone.
    pub fn allows(&self, etag: &str) -> bool {
        self.allowed
            .as_ref()
            .is_none_or(|allowed| allowed.iter().any(|tag| opaque(etag) == Some(tag)))
    }

    fn parse(list: &str) -> Option<Self> {
        let allowed = if is_star(list) {
            None
        } else {
            Some(strong_tags(list)?)
        };
        Some(Self { allowed })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let lines = parts.headers.get_all(header::IF_MATCH).iter();
        // A tag may hold bytes that are no text. None of ours does, so it does not matter which.
        let lines: Vec<_> = lines
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        if lines.is_empty() {
            return Ok(Self { allowed: None });
        }
        Self::parse(&lines.join(",")).ok_or_else(|| {
            Problem::from_status(StatusCode::BAD_REQUEST)
                .with_detail(r#"If-Match must be * or a list of entity tags, such as "a", "b""#)
        })
    }
}

/// The strong ones of a list of tags, or none if it is not such a list to the letter.
fn strong_tags(list: &str) -> Option<Vec<String>> {
    let mut strong = Vec::new();
    for tag in tags(list) {
        let tag = tag.filter(Tag::is_well_formed)?;
        if !tag.weak {
            strong.push(tag.opaque.to_owned());
        }
    }
    Some(strong)
}

/// An entity tag as a client sent it.
struct Tag<'a> {
    weak: bool,
    /// What is between the quotes.
    opaque: &'a str,
    /// Whether a comma or the end of the list comes next.
    ends: bool,
}

impl Tag<'_> {
    fn is_well_formed(&self) -> bool {
        self.ends && self.opaque.chars().all(|c| !c.is_ascii() || c.is_ascii_graphic())
    }
}

/// Walks a list of entity tags by their quotes: a tag may hold commas. Where there is no tag, the last item is none.
fn tags(list: &str) -> impl Iterator<Item = Option<Tag<'_>>> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest.take()?.trim_start_matches([' ', '\t', ',']);
        if list.is_empty() {
            return None;
        }
        let weak = list.strip_prefix("W/");
        let quoted = weak.unwrap_or(list).strip_prefix('"');
        Some(quoted.and_then(|tag| tag.split_once('"')).map(|(opaque, after)| {
            rest = Some(after);
            let next = after.trim_start_matches(WHITESPACE);
            Tag {
                weak: weak.is_some(),
                opaque,
                ends: next.is_empty() || next.starts_with(','),
            }
        }))
    })
}

fn is_star(list: &str) -> bool {
    list.trim_matches(WHITESPACE) == "*"
}

/// A strong tag without its quotes.
fn opaque(etag: &str) -> Option<&str> {
    etag.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = r#""abc-3""#;

    fn matches(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_NONE_MATCH, line.parse().unwrap());
        }
        not_modified(&headers, ETAG)
    }

    #[test]
    fn the_same_tag_matches_strong_or_weak() {
        assert!(matches(&[r#""abc-3""#]));
        assert!(matches(&[r#"W/"abc-3""#]));
    }

    #[test]
    fn any_tag_of_a_list_matches() {
        assert!(matches(&[r#""x", W/"y" ,"abc-3""#]));
        assert!(matches(&[r#""x""#, r#""abc-3""#]));
        assert!(matches(&[r#""with, comma","abc-3""#]));
        assert!(matches(&[r#","abc-3""#]));
    }

    #[test]
    fn a_star_matches_alone() {
        assert!(matches(&["*"]));
        assert!(matches(&[" * "]));
        assert!(!matches(&[r#""*""#]));
    }

    #[test]
    fn other_tags_do_not_match() {
        assert!(!matches(&[]));
        assert!(!matches(&[""]));
        assert!(!matches(&[r#""abc-30""#]));
        assert!(!matches(&[r#""x,"abc-3"""#]));
    }

    #[test]
    fn what_does_not_parse_matches_nothing() {
        assert!(!matches(&["abc-3"]));
        assert!(!matches(&[r#""abc-3"#]));
        assert!(!matches(&[r#"w/"abc-3""#]));
    }

    async fn if_match(lines: &[&[u8]]) -> Result<IfMatch, Problem> {
        let mut request = axum::http::Request::new(());
        for line in lines {
            let line = axum::http::HeaderValue::from_bytes(line).unwrap();
            request.headers_mut().append(header::IF_MATCH, line);
        }
        IfMatch::from_request_parts(&mut request.into_parts().0, &()).await
    }

    async fn allows(lines: &[&str]) -> bool {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        if_match(&lines).await.unwrap().allows(ETAG)
    }

    #[tokio::test]
    async fn a_change_is_allowed_if_the_header_names_its_version_or_is_absent() {
        assert!(allows(&[]).await);
        assert!(allows(&["*"]).await);
        assert!(allows(&[" * "]).await);
        assert!(allows(&[r#""abc-3""#]).await);
        assert!(allows(&[r#""x", W/"y" ,,"with,comma","abc-3" "#]).await);
        assert!(allows(&[r#""x""#, r#""abc-3""#]).await);
    }

    #[tokio::test]
    async fn a_change_is_not_allowed_of_another_version_or_by_a_weak_tag() {
        assert!(!allows(&[r#""abc-30""#]).await);
        assert!(!allows(&[r#""ABC-3""#]).await);
        assert!(!allows(&[r#"W/"abc-3""#]).await);
        assert!(!allows(&[r#""*""#]).await);
        assert!(!allows(&[r#""x,abc-3""#]).await);
        assert!(!allows(&[""]).await, "an empty list is a list");
        assert!(!if_match(&[b"\"\xff\""]).await.unwrap().allows(ETAG));
        let itself = if_match(&[br#""abc-3""#]).await.unwrap();
        assert!(!itself.allows(r#"W/"abc-3""#), "what is weak never matches");
    }

    #[tokio::test]
    async fn a_condition_that_does_not_parse_is_refused() {
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
            let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
            let refused = if_match(&lines).await.unwrap_err();
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{lines:?}");
        }
    }
}
