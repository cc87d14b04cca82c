//! The context that a task inherits from the thread that started it: the span, and whatever the user captures.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;

use tracing::{Instrument as _, Span};

/// Runs work in the [captured](crate::CacheOptions::capture) context. It must call the work exactly once, before it returns.
pub type TaskScope = Box<dyn FnMut(&mut dyn FnMut()) + Send>;

/// A reader's span and what else its thread holds, for a load that runs in a task of its own; or an event's, for a refresh.
pub(crate) struct TaskContext {
    pub(crate) span: Span,
    scope: Option<TaskScope>,
}

impl TaskContext {
    /// The current context of this thread.
    pub(crate) fn current(capture: fn() -> Option<TaskScope>) -> Self {
        Self {
            span: Span::current(),
            scope: capture(),
        }
    }

    /// The current context with `step` as its span, or with its own span if `step` is disabled.
    pub(crate) fn of(step: Span, capture: fn() -> Option<TaskScope>) -> Self {
        let current = Self::current(capture);
        if step.is_disabled() {
            current
        } else {
            Self {
                span: step,
                ..current
            }
        }
    }

    /// Does work on this thread.
    pub(crate) fn enter<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let Self { span, scope } = self;
        enter(scope, || span.in_scope(work))
    }

    /// Does work that waits, wherever it is polled.
    pub(crate) async fn run<F: Future>(self, work: F) -> F::Output {
        let Self { span, mut scope } = self;
        let mut work = pin!(work.instrument(span));
        poll_fn(|context| enter(&mut scope, || work.as_mut().poll(context))).await
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TaskContext")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

fn enter<R>(scope: &mut Option<TaskScope>, work: impl FnOnce() -> R) -> R {
    let Some(scope) = scope else { return work() };
    let (mut work, mut result) = (Some(work), None);
    scope(&mut || result = work.take().map(|work| work()));
    result.expect("a scope runs its work")
}
