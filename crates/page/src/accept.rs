//! HTML or JSON, compressed or not: what the reader would rather have (RFC 9110, sections 12.5.1 and 12.5.3).

use axum::http::{HeaderMap, header};

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
        if !headers.contains_key(header::ACCEPT) {
            return Self::Html;
        }
        let lines = || {
            headers
                .get_all(header::ACCEPT)
                .iter()
                .filter_map(|line| line.to_str().ok())
        };
        let weigh = |kind, subtypes: &[&str]| {
            let weights = subtypes.iter().map(|subtype| weigh(lines(), kind, subtype));
            weights.max_by_key(|weight| *weight).unwrap_or_default()
        };
        // A program that can read our errors alone still is a program.
        let json = weigh("application", &["json", "problem+json"]);
        if json > weigh("text", &["html"]) {
            Self::Json
        } else {
            Self::Html
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
        let taken = quality(words) != Some(0);
        if coding.eq_ignore_ascii_case("gzip") {
            return taken;
        }
        everything |= coding == "*" && taken;
    }
    everything
}

/// The quality, in thousandths, that the lists give to a media type: the most specific range that matches
/// decides.
fn weigh<'a>(lines: impl Iterator<Item = &'a str>, kind: &str, subtype: &str) -> u16 {
    let ranges = lines.flat_map(|line| line.split(',')).filter_map(Range::parse);
    let matching = ranges.filter_map(|range| Some((range.matches(kind, subtype)?, range.quality)));
    matching.max().map_or(0, |(_, quality)| quality)
}

/// One element of `Accept`: `text/*;q=0.8`.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: u16,
}

impl<'a> Range<'a> {
    /// What does not parse is not there: a sloppy header must not cost its sender the page.
    fn parse(text: &'a str) -> Option<Self> {
        let mut words = text.split(';').map(str::trim);
        let (kind, subtype) = words.next()?.split_once('/')?;
        Some(Self {
            kind,
            subtype,
            quality: quality(words)?,
        })
    }

    /// How exactly it names the media type; none if it names another.
    fn matches(&self, kind: &str, subtype: &str) -> Option<u8> {
        let same = str::eq_ignore_ascii_case;
        match (self.kind, self.subtype) {
            ("*", "*") => Some(0),
            (this, "*") if same(this, kind) => Some(1),
            (this, that) if same(this, kind) && same(that, subtype) => Some(2),
            _ => None,
        }
    }
}

/// The quality among an element's parameters, in thousandths; none if it is no number.
fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> Option<u16> {
    let quality = parameters.find_map(|word| word.strip_prefix("q=").or_else(|| word.strip_prefix("Q=")));
    quality.map_or(Some(1000), thousandths)
}

/// `0.85` as 850.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u16 = whole.parse().ok().filter(|whole| *whole <= 1)?;
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    Some((whole * 1000 + fraction).min(1000))
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
