//! Which of the forms that there are a client would rather have (RFC 9110, section 12.5.1).
//!
//! Not by the crate `headers-accept` (0.3): `application/json; charset=utf-8` does not match JSON there, one element that it cannot
//! read loses the whole header, and `q=x` counts as 1.

use std::cmp::Ordering;

use axum::http::{HeaderMap, HeaderValue, header};

/// Whether HTML is preferred to JSON (`Greater`), or JSON to HTML (`Less`); `Equal` where both or neither will do.
///
/// A client that can read errors in JSON alone prefers JSON.
pub fn html_or_json(headers: &HeaderMap) -> Ordering {
    compare(headers.get_all(header::ACCEPT))
}

/// The same of the lines of `Accept`.
pub(crate) fn compare<'a>(lines: impl IntoIterator<Item = &'a HeaderValue>) -> Ordering {
    let lines = lines.into_iter().filter_map(|line| line.to_str().ok());
    let ranges = lines.flat_map(|line| line.split(',')).filter_map(Range::parse);
    let [mut html, mut json, mut problem] = [None; 3];
    for range in ranges {
        html = html.max(range.weigh("text", "html"));
        json = json.max(range.weigh("application", "json"));
        problem = problem.max(range.weigh("application", "problem+json"));
    }
    let quality = |weight: Option<Weight>| weight.map_or(0, |weight| weight.quality);
    quality(html).cmp(&quality(json).max(quality(problem)))
}

/// One element of `Accept`: `text/*;q=0.8`.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: u16,
}

/// What a range says of a media type that it matches: the most specific range decides, so it is compared first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    /// How exactly the range names the type.
    specificity: u8,
    /// In thousandths.
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

    /// None if it names another media type.
    fn weigh(&self, kind: &str, subtype: &str) -> Option<Weight> {
        let same = str::eq_ignore_ascii_case;
        let specificity = match (self.kind, self.subtype) {
            ("*", "*") => 0,
            (this, "*") if same(this, kind) => 1,
            (this, that) if same(this, kind) && same(that, subtype) => 2,
            _ => return None,
        };
        Some(Weight {
            specificity,
            quality: self.quality,
        })
    }
}

/// The quality among an element's parameters, in thousandths; none if it is no number.
pub fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> Option<u16> {
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
