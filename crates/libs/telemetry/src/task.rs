//! What work belongs to, taken along to where it goes on: into a task, onto a thread, through a queue.
//!
//! A thread knows what it works on; a task that is spawned knows nothing of who spawned it. Whoever hands work over hands
//! this over too, or the work begins traces of its own and tells nobody what the caller decided.

use std::future::poll_fn;
use std::pin::pin;

use opentelemetry::Context;
use opentelemetry::propagation::Extractor;
use tracing::{Instrument as _, Span};

use crate::{Unsampled, context_from, unsampled};

/// The trace that work belongs to, or that it has none.
#[derive(Clone, Debug)]
pub struct TaskContext(Belongs);

#[derive(Clone, Debug)]
enum Belongs {
    /// To a span of `tracing`, and with it to a trace.
    Span(Span),
    /// To a trace in which nothing is recorded here, or to none.
    Context(Context),
    /// To a request that is not traced.
    Unsampled(Unsampled),
}

impl TaskContext {
    /// What this thread works on now.
    pub fn current() -> Self {
        let span = Span::current();
        if !span.is_disabled() {
            return Self(Belongs::Span(span));
        }
        let unsampled = unsampled::share().map(Belongs::Unsampled);
        Self(unsampled.unwrap_or_else(|| Belongs::Context(Context::current())))
    }

    /// A step of what this thread works on now; what it works on itself, if spans are not made here.
    pub fn of(step: Span) -> Self {
        if step.is_disabled() {
            Self::current()
        } else {
            Self(Belongs::Span(step))
        }
    }

    /// Work that goes on from elsewhere: what its message or its stored headers say. `step` is made below that, where it
    /// is recorded; where not, the context is passed on all the same.
    pub fn below(headers: &dyn Extractor, step: impl FnOnce() -> Span) -> Self {
        let caller = context_from(headers);
        let span = {
            let _caller = caller.clone().attach();
            step()
        };
        Self(if span.is_disabled() {
            Belongs::Context(caller)
        } else {
            Belongs::Span(span)
        })
    }

    /// Nothing: what is done in it is no part of any trace that is known.
    pub fn none() -> Self {
        Self(Belongs::Context(Context::new()))
    }

    /// The span, if there is one.
    pub fn span(&self) -> Option<&Span> {
        match &self.0 {
            Belongs::Span(span) => Some(span),
            Belongs::Context(_) | Belongs::Unsampled(_) => None,
        }
    }

    /// Does some work on this thread.
    pub fn enter<R>(&mut self, work: impl FnOnce() -> R) -> R {
        match &mut self.0 {
            Belongs::Span(span) => span.in_scope(work),
            Belongs::Context(context) => {
                let _current = context.clone().attach();
                work()
            }
            Belongs::Unsampled(unsampled) => unsampled.enter(work),
        }
    }

    /// Does work that waits, wherever it is polled.
    pub async fn run<F: Future>(mut self, work: F) -> F::Output {
        if let Belongs::Span(span) = self.0 {
            return work.instrument(span).await;
        }
        let mut work = pin!(work);
        poll_fn(|context| self.enter(|| work.as_mut().poll(context))).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::{context_from_traceparent, inject_current};

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn headers(flags: &str) -> HashMap<String, String> {
        let traceparent = format!("00-{TRACE}-b7ad6b7169203331-{flags}");
        HashMap::from([
            ("traceparent".to_owned(), traceparent),
            ("tracestate".to_owned(), "foo=1".to_owned()),
        ])
    }

    fn injected() -> HashMap<String, String> {
        let mut headers = HashMap::new();
        inject_current(&mut headers);
        headers
    }

    /// What a task tells others that `context` was given to.
    async fn told(context: TaskContext) -> HashMap<String, String> {
        let task = context.run(async {
            tokio::task::yield_now().await;
            injected()
        });
        tokio::spawn(task).await.unwrap()
    }

    #[tokio::test]
    async fn a_task_tells_others_what_the_caller_decided() {
        let caller = context_from(&headers("00"));
        let parent = opentelemetry::trace::TraceContextExt::span(&caller)
            .span_context()
            .clone();
        let mut request = Unsampled::below(&parent);
        let told = told(request.enter(TaskContext::current)).await;
        let traceparent = &told["traceparent"];
        assert!(traceparent.starts_with(&format!("00-{TRACE}-")), "{traceparent}");
        assert!(traceparent.ends_with("-00"), "{traceparent}");
        assert_eq!(told["tracestate"], "foo=1");
    }

    #[tokio::test]
    async fn a_process_that_records_nothing_passes_on_what_it_was_told() {
        for flags in ["00", "01"] {
            // No subscriber, so no span: as with `OTEL_SDK_DISABLED`.
            let step = || tracing::info_span!("step");
            assert_eq!(
                told(TaskContext::below(&headers(flags), step)).await,
                headers(flags)
            );
            let _current = context_from(&headers(flags)).attach();
            assert_eq!(told(TaskContext::of(step())).await, headers(flags));
        }
    }

    #[tokio::test]
    async fn what_belongs_to_nothing_joins_nobody() {
        let _current = context_from_traceparent(&headers("01")["traceparent"]).attach();
        assert_eq!(TaskContext::none().enter(injected), HashMap::new());
        let nothing = HashMap::<String, String>::new();
        let mut handled = TaskContext::below(&nothing, Span::none);
        assert_eq!(handled.enter(injected), HashMap::new());
    }
}
