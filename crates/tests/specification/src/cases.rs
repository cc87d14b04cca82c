//! The small cases that can break the rules, with their bounds and their numbers of states.

use crate::Case;
use crate::before::{BACKUP, COPIED, COPY_BEHIND, COPY_CLAIMS, OLD_BACKUP, WARM};
use crate::budget::Budget;

const NONE: Budget = Budget::of_all(0);
/// More than any start takes.
pub(crate) const PLENTY: Budget = Budget::of_all(9);
const ONE: Case = Case {
    name: "",
    about: "",
    processes: &[0],
    accounts: 1,
    carries: false,
    shares: false,
    pauses: false,
    before: &[],
    budget: NONE,
    states: 0,
};
/// All cases, each with all rules kept.
pub const CASES: &[Case] = &[
    Case {
        name: "start",
        about: "A source starts, is read before its first message arrives, writes; one message does not reach the replica.",
        carries: true,
        budget: Budget { writes: 2, rounds: 1, claims: 1, loads: 2, reads: 2, losses: 1, ..NONE },
        states: 100_483,
        ..ONE
    },
    Case {
        name: "lost-words",
        about: "The same, and two messages do not reach the replica: its first message, or a claim.",
        budget: Budget { writes: 1, rounds: 2, claims: 1, loads: 1, reads: 2, losses: 2, ..NONE },
        states: 22_012,
        ..ONE
    },
    Case {
        name: "pauses",
        about: "Readers pause between the watermark and the check.",
        carries: true,
        pauses: true,
        before: WARM,
        budget: Budget { writes: 2, rounds: 2, loads: 2, reads: 2, losses: 1, ..NONE },
        states: 51_113,
        ..ONE
    },
    Case {
        name: "accounts",
        about: "Two accounts, fragments in events, one message lost.",
        carries: true,
        before: WARM,
        accounts: 2,
        budget: Budget { writes: 2, rounds: 2, loads: 1, reads: 2, losses: 1, ..NONE },
        states: 89_398,
        ..ONE
    },
    Case {
        name: "deletion",
        about: "A write and a deletion; the source does not answer once.",
        before: WARM,
        budget: Budget { writes: 1, deletions: 1, rounds: 2, loads: 2, reads: 3, timeouts: 1, ..NONE },
        states: 30_476,
        ..ONE
    },
    Case {
        name: "early",
        about: "Readers give up before their load has ended; a write and a deletion.",
        before: WARM,
        budget: Budget {
            writes: 1,
            deletions: 1,
            rounds: 1,
            loads: 2,
            reads: 3,
            timeouts: 1,
            give_ups: 2,
            ages: 1,
            ..NONE
        },
        states: 128_514,
        ..ONE
    },
    Case {
        name: "early-event-fragment",
        about: "Readers give up; two writes, fragments in events, one message lost.",
        carries: true,
        before: WARM,
        budget: Budget { writes: 2, rounds: 1, loads: 2, reads: 3, losses: 1, give_ups: 1, ..NONE },
        states: 77_653,
        ..ONE
    },
    Case {
        name: "early-rollback",
        about: "The same, and a backup is put back, before two writes that a page shows.",
        before: BACKUP,
        budget: Budget {
            writes: 2,
            rounds: 1,
            claims: 1,
            loads: 1,
            reads: 3,
            crashes: 1,
            give_ups: 1,
            ..NONE
        },
        states: 186_506,
        ..ONE
    },
    Case {
        name: "age",
        about: "Readers accept an age, and may know of all writes; a write and a deletion.",
        before: WARM,
        budget: Budget { writes: 1, deletions: 1, rounds: 2, loads: 2, reads: 3, ages: 2, ..NONE },
        states: 61_227,
        ..ONE
    },
    Case {
        name: "age-rollback",
        about: "The same, and a backup is put back, before two writes that a page shows.",
        before: BACKUP,
        budget: Budget { writes: 1, rounds: 2, claims: 1, loads: 1, reads: 3, crashes: 1, ages: 2, ..NONE },
        states: 110_021,
        ..ONE
    },
    Case {
        name: "restart",
        about: "The process is killed, perhaps with a publish under way that arrives late.",
        before: WARM,
        budget: Budget { writes: 1, rounds: 2, claims: 2, loads: 2, reads: 2, crashes: 1, late: 1, ..NONE },
        states: 82_892,
        ..ONE
    },
    Case {
        name: "restart-cold",
        about: "The same before anything was published.",
        budget: Budget { writes: 1, rounds: 1, claims: 2, loads: 1, reads: 2, crashes: 1, late: 1, ..NONE },
        states: 29_605,
        ..ONE
    },
    Case {
        name: "rollback",
        about: "The database is backed up at any moment, and put back after a kill at any moment.",
        before: WARM,
        budget: Budget {
            writes: 2,
            rounds: 2,
            claims: 1,
            loads: 1,
            reads: 2,
            crashes: 1,
            backups: 1,
            ..NONE
        },
        states: 787_660,
        ..ONE
    },
    Case {
        name: "rollback-cold",
        about: "The same from the first start on: answers state no claim yet.",
        budget: Budget { writes: 3, loads: 2, reads: 2, crashes: 1, backups: 1, ..NONE },
        states: 7_979,
        ..ONE
    },
    Case {
        name: "rollback-late",
        about: "The same, with a publish under way that arrives late.",
        before: WARM,
        budget: Budget {
            writes: 2,
            rounds: 1,
            claims: 1,
            loads: 1,
            reads: 1,
            crashes: 1,
            backups: 1,
            late: 1,
            ..NONE
        },
        states: 164_170,
        ..ONE
    },
    Case {
        name: "rollback-own",
        about: "A backup that knows the last claim is put back, before two writes that a page shows.",
        before: BACKUP,
        budget: Budget { writes: 2, rounds: 2, claims: 1, loads: 1, reads: 2, crashes: 1, ..NONE },
        states: 210_688,
        ..ONE
    },
    Case {
        name: "rollback-event-fragment",
        about: "The same with fragments in events.",
        before: BACKUP,
        carries: true,
        budget: Budget { writes: 2, rounds: 1, claims: 1, loads: 1, reads: 1, crashes: 1, ..NONE },
        states: 22_276,
        ..ONE
    },
    Case {
        name: "rollback-old",
        about: "A backup that is older than the first claim is put back; one message is lost.",
        before: OLD_BACKUP,
        budget: Budget { writes: 1, rounds: 2, claims: 1, loads: 1, reads: 2, crashes: 1, ..NONE },
        states: 30_110,
        ..ONE
    },
    Case {
        name: "rollback-tail",
        about: "The same, and the stream loses its tail.",
        before: OLD_BACKUP,
        budget: Budget {
            writes: 1,
            rounds: 1,
            claims: 2,
            loads: 1,
            reads: 1,
            crashes: 1,
            tails: 1,
            late: 1,
            ..NONE
        },
        states: 352_909,
        ..ONE
    },
    Case {
        name: "rollback-gone",
        about: "The same, and the stream is made anew.",
        before: OLD_BACKUP,
        budget: Budget {
            writes: 1,
            rounds: 1,
            claims: 1,
            loads: 1,
            reads: 2,
            crashes: 1,
            recreations: 1,
            ..NONE
        },
        states: 50_650,
        ..ONE
    },
    Case {
        name: "tail",
        about: "The stream loses its tail.",
        before: WARM,
        budget: Budget { writes: 2, rounds: 2, claims: 1, loads: 1, reads: 2, tails: 1, ..NONE },
        states: 185_611,
        ..ONE
    },
    Case {
        name: "recreated",
        about: "The stream is made anew.",
        before: WARM,
        budget: Budget { writes: 2, rounds: 2, claims: 1, loads: 1, reads: 2, recreations: 1, ..NONE },
        states: 60_343,
        ..ONE
    },
    Case {
        name: "restart-recreated",
        about: "The process is killed, and the stream is made anew: its positions repeat.",
        before: WARM,
        budget: Budget {
            writes: 1,
            rounds: 2,
            claims: 2,
            loads: 1,
            reads: 1,
            crashes: 1,
            recreations: 1,
            ..NONE
        },
        states: 66_952,
        ..ONE
    },
    Case {
        name: "file",
        about: "Two processes serve one database; the address moves to the second.",
        processes: &[0, 0],
        before: WARM,
        budget: Budget { writes: 2, rounds: 2, claims: 2, loads: 1, reads: 2, moves: 1, ..NONE },
        states: 737_383,
        ..ONE
    },
    Case {
        name: "file-shared",
        about: "The same; each states the claim that one of them holds.",
        processes: &[0, 0],
        shares: true,
        before: WARM,
        budget: Budget { writes: 2, rounds: 2, claims: 2, loads: 1, reads: 2, moves: 1, ..NONE },
        states: 199_582,
        ..ONE
    },
    Case {
        name: "copy",
        about: "A copy of the database is started beside the original; the address moves to it.",
        processes: &[0, 1],
        before: WARM,
        budget: Budget { writes: 2, rounds: 2, claims: 1, loads: 1, reads: 2, copies: 1, moves: 1, ..NONE },
        states: 1_259_995,
        ..ONE
    },
    Case {
        name: "copy-shared",
        about: "The same; each states the claim that is held of its database.",
        processes: &[0, 1],
        shares: true,
        before: WARM,
        budget: Budget { writes: 2, rounds: 1, claims: 1, loads: 1, reads: 2, copies: 1, moves: 1, ..NONE },
        states: 167_780,
        ..ONE
    },
    Case {
        name: "rollback-shared",
        about: "A backup is put back; the claim that was held of the database is stored in it.",
        shares: true,
        before: BACKUP,
        budget: Budget { writes: 2, rounds: 2, claims: 1, loads: 1, reads: 2, crashes: 1, ..NONE },
        states: 174_350,
        ..ONE
    },
    Case {
        name: "copy-tail",
        about: "The same, and the stream loses its tail.",
        processes: &[0, 1],
        before: WARM,
        budget: Budget {
            writes: 1,
            rounds: 1,
            claims: 1,
            loads: 1,
            reads: 1,
            copies: 1,
            moves: 1,
            tails: 1,
            ..NONE
        },
        states: 184_188,
        ..ONE
    },
    Case {
        name: "copy-claims",
        about: "A copy has claimed, while the remainder of the original's events is under way; one message is lost.",
        processes: &[0, 1],
        before: COPY_CLAIMS,
        budget: Budget { writes: 1, rounds: 1, claims: 1, loads: 1, reads: 2, losses: 1, ..NONE },
        states: 87_840,
        ..ONE
    },
    Case {
        name: "copy-behind",
        about: "A copy has claimed that lacks the original's last mutation; three messages are lost.",
        processes: &[0, 1],
        before: COPY_BEHIND,
        budget: Budget { writes: 1, rounds: 1, claims: 1, loads: 1, reads: 2, losses: 3, ..NONE },
        states: 67_832,
        ..ONE
    },
    Case {
        name: "twins",
        about: "A copy runs beside the original, and a message is lost.",
        processes: &[0, 1],
        before: COPIED,
        budget: Budget { writes: 2, rounds: 2, claims: 1, loads: 1, reads: 1, moves: 1, losses: 1, ..NONE },
        states: 1_188_500,
        ..ONE
    },
];
