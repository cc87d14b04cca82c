//! HTML or JSON, compressed or not: what the reader would rather have (RFC 9110, sections 12.5.1 and 12.5.3).

use std::cmp::Ordering;

use axum::http::{HeaderMap, header};
use http_edge::accept;

/// A form of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Html,
    /// For programs.
    Json,
}

impl Format {
    /// The form asked for; HTML where both or neither will do.
    ///
    /// Never 406: a page that was not quite asked for is of more use than a page that says so.
    pub(crate) fn preferred(headers: &HeaderMap) -> Self {
        match accept::html_or_json(headers) {
            Ordering::Less => Self::Json,
            Ordering::Equal | Ordering::Greater => Self::Html,
        }
    }
}

/// Whether the reader takes gzip: it is named, or everything is, and not with a quality of zero.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let mut everything = false;
    for element in lines.flat_map(|line| line.split(',')) {
        let mut words = element.split(';').map(str::trim);
        let coding = words.next().unwrap_or_default();
        let taken = accept::quality(words) != Some(0);
        if coding.eq_ignore_ascii_case("gzip") {
            return taken;
        }
        everything |= coding == "*" && taken;
    }
    everything
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred(lines: &[&str]) -> Format {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT, line.parse().unwrap());
        }
        Format::preferred(&headers)
    }

    #[test]
    fn browsers_and_those_who_do_not_care_get_html() {
        for line in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
            "*/*",
            "",
            "image/png",
            "text/html, application/json",
            "application/json;q=0",
            "nonsense",
            "application/json;q=x",
        ] {
            assert_eq!(preferred(&[line]), Format::Html, "{line:?}");
        }
        assert_eq!(preferred(&[]), Format::Html);
    }

    #[test]
    fn programs_get_json() {
        for line in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
            "text/html;q=0.5, application/json;q=0.501",
            "text/html;q=0.9;level=1, application/*",
            "text/html;q=0, */*",
            "text/*;q=0.1, */*;q=0.2",
        ] {
            assert_eq!(preferred(&[line]), Format::Json, "{line:?}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        let takes = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, line.parse().unwrap());
            takes_gzip(&headers)
        };
        for line in [
            "gzip",
            "deflate, GZIP;q=0.5",
            "*",
            "br;q=1, *;q=0.1",
            "gzip, *;q=0",
        ] {
            assert!(takes(line), "{line:?}");
        }
        for line in [
            "",
            "br",
            "identity",
            "gzip;q=0",
            "gzip; q=0.000, *",
            "*;q=0",
            "xgzip",
        ] {
            assert!(!takes(line), "{line:?}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn lists_over_several_lines_are_one_list() {
        assert_eq!(
            preferred(&["text/html;q=0.2", "application/json;q=0.3"]),
            Format::Json
        );
    }
}
