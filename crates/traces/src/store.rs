//! The last traces, in memory and bounded.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use crate::span::{Span, TraceId};

/// Spans of all traces together; at some 500 bytes each, 25 MB.
const MOST_SPANS: usize = 50_000;
/// Spans of one trace: a client that gives everything one trace must not push all others out.
const MOST_OF_ONE: usize = 2_000;

/// Traces in the order in which they were first heard of.
#[derive(Debug)]
pub(crate) struct Store {
    most: usize,
    traces: HashMap<TraceId, Vec<Span>>,
    order: VecDeque<TraceId>,
    spans: usize,
}

impl Store {
    /// A store of so many traces.
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            traces: HashMap::new(),
            order: VecDeque::new(),
            spans: 0,
        }
    }

    /// Keeps a span, and forgets the oldest traces for it.
    pub(crate) fn keep(&mut self, trace: TraceId, span: Span) {
        let spans = self.traces.entry(trace.clone()).or_insert_with(|| {
            self.order.push_back(trace);
            Vec::new()
        });
        // A retried export brings the same spans again.
        if spans.len() >= MOST_OF_ONE || spans.iter().any(|known| known.id == span.id) {
            return;
        }
        spans.push(span);
        self.spans += 1;
        while self.order.len() > self.most || self.spans > MOST_SPANS {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.spans -= self.traces.remove(&oldest).map_or(0, |spans| spans.len());
        }
    }

    /// The spans of one trace, by their start.
    pub(crate) fn trace(&self, trace: &str) -> Option<Vec<Span>> {
        let mut spans = self.traces.get(trace)?.clone();
        spans.sort_by_key(Span::place);
        Some(spans)
    }

    /// The traces heard of last whose first span is wanted, by their start, newest first.
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
        self.traces.get(trace)?.iter().min_by_key(|span| span.place())
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
        }
    }

    #[test]
    fn the_trace_heard_of_first_is_forgotten_first() {
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
        assert_eq!(store.spans, 2);
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
        for number in 0..MOST_OF_ONE + 10 {
            store.keep("one".to_owned(), span(&number.to_string(), 0));
        }
        assert_eq!(store.trace("one").unwrap().len(), MOST_OF_ONE);
        for number in 0..MOST_SPANS {
            store.keep(number.to_string(), span("1", 0));
        }
        assert!(store.spans <= MOST_SPANS);
        assert!(store.trace("one").is_none());
    }
}
