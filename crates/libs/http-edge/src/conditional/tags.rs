//! The lists of entity tags that preconditions name (RFC 9110, section 13.1).

use std::convert::identity;

const WHITESPACE: [char; 2] = [' ', '\t'];

/// What a precondition names.
#[derive(Clone, Debug)]
pub(super) enum Tags {
    /// `*`: whatever exists.
    Any,
    These(Vec<OwnedTag>),
}

/// An entity tag that a request names.
#[derive(Clone, Debug)]
pub(super) struct OwnedTag {
    weak: bool,
    /// What is between the quotes.
    opaque: String,
}

impl Tags {
    /// None if it is not `*` nor a list of tags to the letter.
    pub(super) fn parse(list: &str) -> Option<Self> {
        if is_star(list) {
            return Some(Self::Any);
        }
        let well_formed = |tag: Option<Tag<'_>>| tag.filter(Tag::is_well_formed).map(OwnedTag::from);
        tags(list)
            .map(well_formed)
            .collect::<Option<_>>()
            .map(Self::These)
    }

    /// What can be read of it, up to what cannot.
    pub(super) fn parse_leniently(list: &str) -> Self {
        let understood = tags(list).map_while(identity).map(OwnedTag::from);
        Self::These(understood.collect())
    }

    /// Neither may be weak (RFC 9110, section 8.8.3.2).
    pub(super) fn match_strongly(&self, etag: Option<&str>) -> bool {
        let strong = etag.and_then(opaque);
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| !tag.weak && strong == Some(&tag.opaque)),
        }
    }

    pub(super) fn match_weakly(&self, etag: Option<&str>) -> bool {
        let either = etag.and_then(|etag| opaque(etag.strip_prefix("W/").unwrap_or(etag)));
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| either == Some(&tag.opaque)),
        }
    }
}

impl From<Tag<'_>> for OwnedTag {
    fn from(tag: Tag<'_>) -> Self {
        Self {
            weak: tag.weak,
            opaque: tag.opaque.to_owned(),
        }
    }
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
