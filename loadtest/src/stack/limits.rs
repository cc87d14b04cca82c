//! What the system allows.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Connections of many readers at once, at both of their ends.
const ENOUGH: u64 = 10_000;

/// Raises the number of files that this process and those it starts may have open; says so where that is still low.
pub(super) fn raise_open_files() -> Option<String> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused, the old limit holds, and is told of.
    let _ = setrlimit(Resource::Nofile, limit);
    let now = getrlimit(Resource::Nofile).current;
    now.filter(|now| *now < ENOUGH).map(|now| {
        format!("The system allows {now} open files, which limits how many requests can be in flight.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_taken_that_is_allowed() {
        let note = raise_open_files();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(note.is_some(), limit.current.is_some_and(|now| now < ENOUGH));
    }
}
