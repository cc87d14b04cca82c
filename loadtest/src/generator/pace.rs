//! Says when something is due, to a tenth of a millisecond.
//!
//! The runtime's own timer counts in milliseconds, which is longer than a page from the cache takes. So a thread sleeps
//! in its place, by the system's clock, and wakes the runtime.

use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Until the first moment counts: the thread has to come up.
const HEAD_START: Duration = Duration::from_millis(5);

/// Moments to come.
#[derive(Debug)]
pub(super) struct Due {
    /// From when the moments count.
    pub(super) began: Instant,
    /// The place of each moment, when it has come; ends with the last.
    pub(super) next: UnboundedReceiver<usize>,
}

/// Begins to count; the moments must be in order.
pub(super) fn start(moments: Vec<Duration>) -> Due {
    let began = Instant::now() + HEAD_START;
    let (sender, next) = unbounded_channel();
    thread::spawn(move || {
        for (index, moment) in moments.into_iter().enumerate() {
            thread::sleep((began + moment).saturating_duration_since(Instant::now()));
            if sender.send(index).is_err() {
                return;
            }
        }
    });
    Due { began, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_due_too_early_and_everything_is_due_once_in_order() {
        let moments: Vec<_> = (0..50)
            .map(|number| Duration::from_micros(number * 300))
            .collect();
        let mut due = start(moments.clone());
        for (index, moment) in moments.into_iter().enumerate() {
            assert_eq!(due.next.recv().await, Some(index));
            assert!(Instant::now() >= due.began + moment);
        }
        assert_eq!(due.next.recv().await, None);
    }
}
