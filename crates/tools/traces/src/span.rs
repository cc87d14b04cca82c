//! A span as it is kept and shown.

use std::fmt::Write as _;

use serde::Serialize;

/// What a span takes beside its texts: its own fields, its part of a trace, and the room that vectors have to spare.
const FIXED: usize = 512;
/// What a text takes beside its characters: where it is, and the allocator's part.
const FIXED_OF_TEXT: usize = 40;

/// One piece of work of one service.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Span {
    /// Its id, 16 hexadecimal digits.
    pub(crate) id: String,
    /// The id of the span it is part of; none for the first of a trace.
    pub(crate) parent: Option<String>,
    /// The service that did it.
    pub(crate) service: String,
    /// What was done.
    pub(crate) name: String,
    /// `server`, `client`, `producer`, `consumer` or `internal`.
    pub(crate) kind: &'static str,
    /// When it began, in nanoseconds since the Unix epoch.
    pub(crate) start: u64,
    /// When it ended, likewise.
    pub(crate) end: u64,
    /// What it failed by, if it did.
    pub(crate) failure: Option<String>,
    /// What is said of it, as text.
    pub(crate) attributes: Vec<(String, String)>,
    /// The spans it points to, mostly in other traces: what it waited for, or what caused it, without being part of it.
    pub(crate) links: Vec<Link>,
    /// What happened within it.
    pub(crate) events: Vec<Event>,
}

/// A moment within a span, such as a line of the log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Event {
    /// When, in nanoseconds since the Unix epoch.
    pub(crate) time: u64,
    /// What happened.
    pub(crate) name: String,
    /// What is said of it, as text.
    pub(crate) attributes: Vec<(String, String)>,
}

/// Where to find a span.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Link {
    /// Its trace's id.
    pub(crate) trace: TraceId,
    /// Its own id.
    pub(crate) span: String,
}

impl Span {
    /// How long it took, in nanoseconds; zero if its clock was set back.
    pub(crate) const fn took(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn size(&self) -> usize {
        let own = [&self.id, &self.service, &self.name].into_iter();
        let own = own.chain(&self.parent).chain(&self.failure);
        let attributes = self.attributes.iter().flat_map(|(name, value)| [name, value]);
        let links = self.links.iter().flat_map(|link| [&link.trace, &link.span]);
        let events = self.events.iter().flat_map(|event| {
            let attributes = event.attributes.iter().flat_map(|(name, value)| [name, value]);
            std::iter::once(&event.name).chain(attributes)
        });
        let texts = own.chain(attributes).chain(links).chain(events);
        FIXED
            + self.events.len() * size_of::<Event>()
            + texts.map(|text| FIXED_OF_TEXT + text.len()).sum::<usize>()
    }

    /// Where it stands in its trace: by its start, and what has no parent before what begins at the same moment.
    pub(crate) const fn place(&self) -> (u64, bool) {
        (self.start, self.parent.is_some())
    }
}

/// A trace's id, 32 hexadecimal digits.
pub(crate) type TraceId = String;

/// `0af7…`: bytes as two lower-case digits each.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
