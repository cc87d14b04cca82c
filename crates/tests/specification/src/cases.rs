//! The small cases that can break the rules.
use crate::state::Budget;
use crate::{Action, Case};

const NONE: Budget = Budget {
    writes: 0,
    deletions: 0,
    rounds: 0,
    claims: 0,
    loads: 0,
    reads: 0,
    crashes: 0,
    backups: 0,
    copies: 0,
    losses: 0,
    recreations: 0,
    tails: 0,
    moves: 0,
    late: 0,
    timeouts: 0,
};
/// More than any start takes.
pub(crate) const PLENTY: Budget = Budget {
    writes: 9,
    deletions: 9,
    rounds: 9,
    claims: 9,
    loads: 9,
    reads: 9,
    crashes: 9,
    backups: 9,
    copies: 9,
    losses: 9,
    recreations: 9,
    tails: 9,
    moves: 9,
    late: 9,
    timeouts: 9,
};
const ONE: Case = Case {
    name: "",
    about: "",
    processes: &[0],
    accounts: 1,
    carries: false,
    pauses: false,
    before: &[],
    budget: NONE,
};
const WARM: &[Action] = &[
    Action::Look { process: 0 },
    Action::Silence { process: 0 },
    Action::Publish { process: 0 },
    Action::BeginRound { process: 0 },
    Action::Publish { process: 0 },
    Action::Hear,
    Action::Hear,
    Action::Read { account: 0 },
    Action::Answer { load: 0 },
    Action::Land { load: 0 },
];
/// Backed up first
const OLD_BACKUP: &[Action] = &[
    Action::BackUp,
    Action::Write {
        process: 0,
        account: 0,
    },
    Action::Write {
        process: 0,
        account: 0,
    },
    Action::Look { process: 0 },
    Action::Silence { process: 0 },
    Action::Publish { process: 0 },
    Action::BeginRound { process: 0 },
    Action::Publish { process: 0 },
    Action::Publish { process: 0 },
    Action::Publish { process: 0 },
    Action::Hear,
    Action::Hear,
    Action::Hear,
    Action::Hear,
    Action::Read { account: 0 },
    Action::Answer { load: 0 },
    Action::Land { load: 0 },
];

/// All cases.
pub const CASES: &[Case] = &[
    Case {
        name: "plain",
        about: "One publisher, one write, one loss",
        carries: true,
        budget: Budget {
            writes: 1,
            rounds: 2,
            claims: 1,
            loads: 2,
            reads: 2,
            losses: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "pauses",
        about: "",
        carries: true,
        pauses: true,
        before: WARM,
        budget: Budget {
            writes: 2,
            rounds: 2,
            claims: 0,
            loads: 2,
            reads: 2,
            losses: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "lost-words",
        about: "",
        budget: Budget {
            writes: 1,
            rounds: 2,
            claims: 1,
            loads: 1,
            reads: 2,
            losses: 2,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "restart",
        about: "",
        before: WARM,
        budget: Budget {
            writes: 1,
            rounds: 2,
            claims: 2,
            loads: 2,
            reads: 2,
            crashes: 1,
            late: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "rollback",
        about: "",
        before: WARM,
        budget: Budget {
            writes: 2,
            rounds: 2,
            claims: 1,
            loads: 2,
            reads: 2,
            crashes: 1,
            backups: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "rollback-cold",
        about: "",
        budget: Budget {
            writes: 2,
            rounds: 1,
            claims: 2,
            loads: 2,
            reads: 2,
            crashes: 1,
            backups: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "rollback-late",
        about: "",
        before: WARM,
        budget: Budget {
            writes: 2,
            rounds: 1,
            claims: 1,
            loads: 2,
            reads: 2,
            crashes: 1,
            backups: 1,
            late: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "rollback-old",
        about: "",
        before: OLD_BACKUP,
        budget: Budget {
            writes: 2,
            rounds: 2,
            claims: 1,
            loads: 2,
            reads: 2,
            crashes: 1,
            losses: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "rollback-tail",
        about: "",
        before: OLD_BACKUP,
        budget: Budget {
            writes: 1,
            rounds: 2,
            claims: 2,
            loads: 1,
            reads: 2,
            crashes: 1,
            tails: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "rollback-gone",
        about: "",
        before: OLD_BACKUP,
        budget: Budget {
            writes: 2,
            rounds: 2,
            claims: 1,
            loads: 2,
            reads: 2,
            crashes: 1,
            recreations: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "copy",
        about: "",
        processes: &[0, 1],
        before: WARM,
        budget: Budget {
            writes: 2,
            rounds: 2,
            claims: 1,
            loads: 1,
            reads: 2,
            copies: 1,
            moves: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "copy-loss",
        about: "",
        processes: &[0, 1],
        before: WARM,
        budget: Budget {
            writes: 2,
            rounds: 3,
            claims: 1,
            loads: 1,
            reads: 2,
            copies: 1,
            moves: 1,
            losses: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "file",
        about: "",
        processes: &[0, 0],
        before: WARM,
        budget: Budget {
            writes: 2,
            rounds: 2,
            claims: 2,
            loads: 1,
            reads: 2,
            moves: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "tail",
        about: "",
        before: WARM,
        budget: Budget {
            writes: 2,
            rounds: 2,
            claims: 1,
            loads: 1,
            reads: 2,
            tails: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "recreated",
        about: "",
        before: WARM,
        budget: Budget {
            writes: 2,
            rounds: 2,
            claims: 1,
            loads: 1,
            reads: 2,
            recreations: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "deletion",
        about: "",
        before: WARM,
        carries: true,
        budget: Budget {
            writes: 1,
            deletions: 1,
            rounds: 2,
            loads: 2,
            reads: 2,
            timeouts: 1,
            ..NONE
        },
        ..ONE
    },
    Case {
        name: "accounts",
        about: "",
        before: WARM,
        carries: true,
        accounts: 2,
        budget: Budget {
            writes: 2,
            rounds: 2,
            loads: 1,
            reads: 2,
            losses: 1,
            ..NONE
        },
        ..ONE
    },
];
