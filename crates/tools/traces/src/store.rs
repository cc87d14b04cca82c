//! The last traces, in memory and bounded.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use crate::span::{Span, TraceId};

/// What all spans together may take, by [`Span::size`]: some 50,000 spans with 5 attributes each, or 35,000 with 10.
///
/// The whole process then takes 60 to 110 MB, and up to 170 MB at spans of megabytes, mostly by what the allocator holds
/// back.
const MOST: usize = 64 * 1024 * 1024;
/// What the spans of one trace may take: a client that gives everything one trace must not push all others out.
const MOST_OF_ONE: usize = 4 * 1024 * 1024;

/// Traces in the order in which their first spans came.
#[derive(Debug)]
pub(crate) struct Store {
    most: usize,
    traces: HashMap<TraceId, Trace>,
    order: VecDeque<TraceId>,
    /// The sum over the traces.
    size: usize,
}

/// The spans of a trace, in the order in which they came.
#[derive(Debug)]
struct Trace {
    spans: Vec<Span>,
    /// The sum over the spans.
    size: usize,
}

impl Store {
    /// A store of so many traces.
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            traces: HashMap::new(),
            order: VecDeque::new(),
            size: 0,
        }
    }

    /// Keeps a span, and forgets the oldest traces for it.
    pub(crate) fn keep(&mut self, id: TraceId, span: Span) {
        let trace = self.traces.entry(id.clone()).or_insert_with(|| {
            self.order.push_back(id);
            // Many traces have one span; left to itself, the vector would begin with room for four.
            Trace {
                spans: Vec::with_capacity(1),
                size: 0,
            }
        });
        // A retried export brings the same spans again.
        if trace.size >= MOST_OF_ONE || trace.spans.iter().any(|known| known.id == span.id) {
            return;
        }
        let size = span.size();
        trace.spans.push(span);
        trace.size += size;
        self.size += size;
        while self.order.len() > self.most || self.size > MOST {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.size -= self.traces.remove(&oldest).map_or(0, |trace| trace.size);
        }
    }

    /// The spans of one trace, by their start.
    pub(crate) fn trace(&self, trace: &str) -> Option<Vec<Span>> {
        let mut spans = self.traces.get(trace)?.spans.clone();
        spans.sort_by_key(Span::place);
        Some(spans)
    }

    /// The latest traces whose first span is wanted, by their start, newest first.
    pub(crate) fn newest(&self, most: usize, wanted: impl Fn(&Span) -> bool) -> Vec<(TraceId, Vec<Span>)> {
        let newest = self.order.iter().rev();
        let wanted = newest.filter(|id| self.first(id).is_some_and(&wanted)).take(most);
        let copies = wanted.filter_map(|id| Some((id.clone(), self.trace(id)?)));
        let mut newest: Vec<_> = copies.collect();
        newest.sort_by_key(|(_, spans)| Reverse(spans.first().map(|span| span.start)));
        newest
    }

    /// The first of [`Self::trace`], in place: all traces are asked for it, and few are then copied.
    fn first(&self, trace: &str) -> Option<&Span> {
        self.traces
            .get(trace)?
            .spans
            .iter()
            .min_by_key(|span| span.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, start: u64) -> Span {
        Span {
            id: id.to_owned(),
            parent: None,
            service: "page".to_owned(),
            name: "GET /".to_owned(),
            kind: "server",
            start,
            end: start + 1,
            failure: None,
            attributes: Vec::new(),
            links: Vec::new(),
            events: Vec::new(),
        }
    }

    #[test]
    fn the_trace_that_came_first_is_forgotten_first() {
        let mut store = Store::new(2);
        for (trace, id, start) in [("a", "1", 0), ("b", "2", 8), ("a", "3", 5), ("c", "4", 7)] {
            store.keep(trace.to_owned(), span(id, start));
        }
        assert!(store.trace("a").is_none());
        let newest: Vec<_> = store
            .newest(9, |span| span.name != "audit")
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        assert_eq!(newest, ["b", "c"], "by their start");
        assert_eq!(store.size, span("2", 8).size() + span("4", 7).size());
    }

    #[test]
    fn what_has_no_parent_is_first_among_what_begins_at_the_same_moment() {
        let mut store = Store::new(2);
        let child = Span {
            parent: Some("root".to_owned()),
            ..span("child", 3)
        };
        store.keep("a".to_owned(), child);
        store.keep("a".to_owned(), span("root", 3));
        assert_eq!(store.trace("a").unwrap()[0].id, "root");
        assert_eq!(store.newest(9, |first| first.id == "root").len(), 1);
        assert_eq!(store.newest(9, |first| first.id == "child").len(), 0);
    }

    #[test]
    fn a_span_that_comes_twice_is_kept_once_and_spans_are_in_the_order_of_their_start() {
        let mut store = Store::new(2);
        for (id, start) in [("late", 9), ("early", 3), ("late", 9)] {
            store.keep("a".to_owned(), span(id, start));
        }
        let ids: Vec<_> = store
            .trace("a")
            .unwrap()
            .into_iter()
            .map(|span| span.id)
            .collect();
        assert_eq!(ids, ["early", "late"]);
    }

    #[test]
    fn no_trace_and_no_number_of_traces_takes_all_memory() {
        let mut store = Store::new(u32::MAX);
        let one = span("0001", 0).size();
        for number in 0..MOST_OF_ONE / one + 10 {
            store.keep("one".to_owned(), span(&format!("{number:04}"), 0));
        }
        assert!(store.size >= MOST_OF_ONE && store.size < MOST_OF_ONE + one);
        for number in 0..MOST / one {
            store.keep(number.to_string(), span("0001", 0));
        }
        assert!(store.size <= MOST && store.size > MOST - one);
        assert!(store.trace("one").is_none());
    }

    #[test]
    fn a_few_huge_spans_push_old_traces_out_and_leave_no_trace_when_they_go() {
        let huge = |text: usize| Span {
            attributes: vec![("db.query".to_owned(), "x".repeat(text))],
            ..span("1", 0)
        };
        let mut store = Store::new(100);
        store.keep("old".to_owned(), span("1", 0));
        for number in 0..8 {
            store.keep(format!("huge {number}"), huge(MOST / 8));
        }
        assert!(store.trace("old").is_none() && store.trace("huge 0").is_none());
        assert!(store.trace("huge 7").is_some() && store.size <= MOST);

        store.keep("larger than all".to_owned(), huge(MOST));
        assert_eq!((store.size, store.traces.len(), store.order.len()), (0, 0, 0));
    }
}
