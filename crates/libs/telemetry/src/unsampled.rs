//! A request that is not traced, and what of it has to be named all the same.

use std::cell::RefCell;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

thread_local! {
    /// What this thread is working on, if that is a request without a trace.
    static CURRENT: RefCell<Option<Unsampled>> = const { RefCell::new(None) };
}

/// A request that is not traced. It has no span; ids are made up for it when somebody has to be told one: a line of the
/// log, an answer that says what failed, a service that is asked on its behalf.
#[derive(Clone, Debug)]
pub struct Unsampled {
    /// The caller's, if it said one; else invalid until it is asked for.
    trace_id: TraceId,
    span_id: SpanId,
    /// What the caller's callers say of the trace; it goes on to who is asked.
    state: TraceState,
    /// Whether other services are told.
    told: bool,
}

impl Unsampled {
    /// One whose caller named no trace.
    pub(crate) fn new(told: bool) -> Self {
        Self {
            trace_id: TraceId::INVALID,
            span_id: SpanId::INVALID,
            state: TraceState::NONE,
            told,
        }
    }

    /// One of the caller's trace. Others are told, since the caller said so too.
    pub(crate) fn below(caller: &SpanContext) -> Self {
        Self {
            trace_id: caller.trace_id(),
            state: caller.trace_state().clone(),
            ..Self::new(true)
        }
    }

    /// Does some of the request's work on this thread: spans that it opens are not made.
    pub fn enter<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let entered = std::mem::replace(self, Self::new(false));
        let outer = CURRENT.replace(Some(entered));
        let _leave = Leave { request: self, outer };
        work()
    }

    /// The id under which the request is to be found in the log, if somebody was told one.
    pub fn named_trace_id(&self) -> Option<TraceId> {
        (self.span_id != SpanId::INVALID).then_some(self.trace_id)
    }

    fn give_trace_id(&mut self) {
        if self.trace_id == TraceId::INVALID {
            self.trace_id = RandomIdGenerator::default().new_trace_id();
        }
    }

    /// Gives it ids if it has none yet.
    fn name(&mut self) {
        self.give_trace_id();
        if self.span_id == SpanId::INVALID {
            self.span_id = RandomIdGenerator::default().new_span_id();
        }
    }
}

/// Takes along what was named meanwhile, also when the work panics.
struct Leave<'a> {
    request: &'a mut Unsampled,
    outer: Option<Unsampled>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(request) = CURRENT.replace(self.outer.take()) {
            *self.request = request;
        }
    }
}

/// Whether this thread works on a request that is not traced.
pub(crate) fn is_current() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// The ids of the current one that somebody was told of.
pub(crate) fn named() -> Option<TraceId> {
    CURRENT.with_borrow(|request| request.as_ref()?.named_trace_id())
}

/// The current one as the parent of what is done for it, which is named by that.
pub(crate) fn name() -> Option<SpanContext> {
    CURRENT.with_borrow_mut(|request| {
        let request = request.as_mut()?;
        request.name();
        let Unsampled {
            trace_id,
            span_id,
            state,
            ..
        } = &*request;
        Some(SpanContext::new(
            *trace_id,
            *span_id,
            TraceFlags::NOT_SAMPLED,
            false,
            state.clone(),
        ))
    })
}

/// As [`name`], if other services are to be told.
pub(crate) fn name_to_others() -> Option<SpanContext> {
    let told = CURRENT.with_borrow(|request| request.as_ref().is_some_and(|request| request.told));
    told.then(name)?
}

/// The current one for a task that works for it. Both are of one trace from here on, whoever of them is named first.
pub(crate) fn share() -> Option<Unsampled> {
    CURRENT.with_borrow_mut(|request| {
        let request = request.as_mut()?;
        request.give_trace_id();
        Some(request.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{current_trace_id, inject_current, named_trace_id};

    fn traceparent() -> Option<String> {
        let mut headers = std::collections::HashMap::new();
        inject_current(&mut headers);
        headers.remove("traceparent")
    }

    #[test]
    fn an_id_is_made_up_when_it_is_needed_and_stays() {
        let mut request = Unsampled::new(true);
        request.enter(|| assert_eq!(current_trace_id(), None));
        assert_eq!(request.named_trace_id(), None);
        let named = request.enter(named_trace_id).unwrap();
        request.enter(|| {
            assert_eq!(current_trace_id().as_ref(), Some(&named));
            assert!(traceparent().unwrap().starts_with(&format!("00-{named}-")));
            assert!(traceparent().unwrap().ends_with("-00"));
        });
        assert_eq!(request.named_trace_id().unwrap().to_string(), named);
        assert_eq!(current_trace_id(), None, "it ends where the request does");
    }

    #[test]
    fn a_caller_has_named_the_trace_already() {
        let trace_id = TraceId::from(7);
        let caller = SpanContext::new(
            trace_id,
            SpanId::from(8),
            TraceFlags::NOT_SAMPLED,
            true,
            TraceState::NONE,
        );
        let mut request = Unsampled::below(&caller);
        assert_eq!(request.enter(named_trace_id), Some(trace_id.to_string()));
    }

    #[test]
    fn requests_within_each_other_are_kept_apart() {
        let [mut outer, mut inner] = [(); 2].map(|()| Unsampled::new(true));
        let (of_outer, of_inner) = outer.enter(|| {
            let of_inner = inner.enter(named_trace_id);
            (named_trace_id(), of_inner)
        });
        assert_ne!(of_outer, of_inner);
        assert_eq!(outer.named_trace_id().map(|id| id.to_string()), of_outer);
    }

    #[test]
    fn a_panic_leaves_the_request_and_takes_its_id_along() {
        let mut request = Unsampled::new(true);
        let panicked = std::panic::AssertUnwindSafe(|| {
            request.enter(|| {
                let _told = named_trace_id();
                std::panic::resume_unwind(Box::new(()));
            });
        });
        assert!(std::panic::catch_unwind(panicked).is_err());
        assert!(!is_current() && request.named_trace_id().is_some());
    }

    #[test]
    fn others_are_not_told_by_a_process_that_traces_nothing() {
        let mut request = Unsampled::new(false);
        request.enter(|| {
            assert_eq!(traceparent(), None);
            assert!(named_trace_id().is_some(), "the log is told");
        });
    }

    #[test]
    fn a_task_of_its_own_is_of_the_same_trace() {
        let mut request = Unsampled::new(true);
        let mut task = request.enter(share).unwrap();
        assert_eq!(request.named_trace_id(), None, "nobody was told anything yet");
        let told = task.enter(named_trace_id);
        assert_eq!(request.enter(named_trace_id), told);
    }
}
