//! A place in memory that shares no cache line with others.

use std::ops::Deref;

/// What is written often, kept apart from what is read often: a write takes the whole line away from every other core.
#[derive(Debug, Default)]
#[repr(align(128))] // two lines of 64 bytes, since processors fetch them in pairs
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
