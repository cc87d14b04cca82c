//! Conditional requests: has the client already got this answer?

use axum::http::{HeaderMap, header};

/// Whether `If-None-Match` names `etag`, so that the answer is 304 (RFC 9110, 13.1.2: weak comparison).
///
/// `etag` is written as in the `ETag` header, quotes included. `*` matches: call this only where an answer exists.
/// What does not parse matches nothing, which costs a full answer and never a wrong one.
pub fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
    let wanted = opaque(etag);
    let lines = headers.get_all(header::IF_NONE_MATCH);
    lines
        .iter()
        .filter_map(|line| line.to_str().ok())
        .any(|line| names(line, wanted))
}

/// Walks a list of entity tags by their quotes: a tag may hold commas.
fn names(line: &str, wanted: &str) -> bool {
    let mut rest = line.trim();
    if rest == "*" {
        return true;
    }
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some((tag, after)) = opaque(rest).strip_prefix('"').and_then(|tag| tag.split_once('"')) else {
            return false;
        };
        if wanted
            .strip_prefix('"')
            .and_then(|wanted| wanted.strip_suffix('"'))
            == Some(tag)
        {
            return true;
        }
        rest = after;
    }
}

/// The tag without its mark of weakness.
fn opaque(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag)
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
}
