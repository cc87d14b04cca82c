//! The small cases, with their bounds and their numbers of states.

use super::Case;
use super::state::Budget;

const NONE: Budget =
    Budget { writes: 0, aborts: 0, rounds: 0, claims: 0, renewals: 0, crashes: 0, stops: 0, loads: 0 };

/// All cases, each with all rules kept.
pub const CASES: &[Case] = &[
    Case {
        name: "commits",
        about: "Transactions begin in one order and commit in another, are undone, or stay open; one relay.",
        relays: 1,
        accounts: 2,
        forgets: false,
        budget: Budget { writes: 3, aborts: 1, rounds: 2, claims: 1, loads: 1, ..NONE },
        states: 333_365,
    },
    Case {
        name: "killed",
        about: "The relay is killed at any moment, and the broker has forgotten the ids of messages.",
        relays: 1,
        accounts: 2,
        forgets: true,
        budget: Budget { writes: 3, rounds: 3, claims: 2, crashes: 1, ..NONE },
        states: 48_354,
    },
    Case {
        name: "killed-read",
        about: "The same, with a page.",
        relays: 1,
        accounts: 1,
        forgets: true,
        budget: Budget { writes: 3, rounds: 3, claims: 2, crashes: 1, loads: 1, ..NONE },
        states: 231_798,
    },
    Case {
        name: "two-relays",
        about: "Two relays on one database take over from each other; they are paused, or one is killed, at any moment.",
        relays: 2,
        accounts: 1,
        forgets: false,
        budget: Budget { writes: 3, rounds: 3, claims: 3, crashes: 1, ..NONE },
        states: 247_566,
    },
    Case {
        name: "two-relays-read",
        about: "The same, with a page.",
        relays: 2,
        accounts: 1,
        forgets: false,
        budget: Budget { writes: 2, rounds: 3, claims: 2, loads: 1, ..NONE },
        states: 430_518,
    },
    Case {
        name: "two-relays-late",
        about: "The same; the broker has forgotten the ids of messages, so that events are stored twice.",
        relays: 2,
        accounts: 1,
        forgets: true,
        budget: Budget { writes: 2, rounds: 3, claims: 2, loads: 1, ..NONE },
        states: 474_038,
    },
    Case {
        name: "renewed",
        about: "The relay that takes over renews the incarnation, while the other one is paused, or killed.",
        relays: 2,
        accounts: 1,
        forgets: true,
        budget: Budget { writes: 3, rounds: 3, claims: 3, renewals: 1, crashes: 1, ..NONE },
        states: 1_124_057,
    },
    Case {
        name: "renewed-read",
        about: "The same, with a page.",
        relays: 2,
        accounts: 1,
        forgets: false,
        budget: Budget { writes: 2, rounds: 2, claims: 2, renewals: 1, loads: 1, ..NONE },
        states: 256_360,
    },
    Case {
        name: "stopped",
        about: "One of two relays is stopped for good; its connection to the database stays open.",
        relays: 2,
        accounts: 1,
        forgets: false,
        budget: Budget { writes: 2, rounds: 2, claims: 2, stops: 1, ..NONE },
        states: 7_481,
    },
];
