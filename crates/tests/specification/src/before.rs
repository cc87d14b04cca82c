//! What happened before a case begins, in named steps.

use crate::Action;

/// A publisher claims the source, and says its first watermark.
const CLAIM: &[Action] = &[
    Action::Look { process: 0 },
    Action::Silence { process: 0 },
    Action::Publish { process: 0 },
    Action::BeginRound { process: 0 },
    Action::Publish { process: 0 },
];
const RECEIVE_TWO: &[Action] = &[Action::Receive, Action::Receive];
const WRITE_TWICE: &[Action] =
    &[Action::Write { process: 0, account: 0 }, Action::Write { process: 0, account: 0 }];
/// A page is loaded.
const LOAD: &[Action] =
    &[Action::Read { account: 0 }, Action::Answer { load: 0 }, Action::Finish { load: 0 }];

/// One publisher has claimed, one page was loaded under its claim.
pub(crate) const WARM: &[&[Action]] = &[CLAIM, RECEIVE_TWO, LOAD];
/// The same, and a copy is started beside it.
pub(crate) const COPIED: &[&[Action]] = &[CLAIM, RECEIVE_TWO, LOAD, &[Action::Copy]];
/// One publisher has claimed after two writes, which a page shows; there is a backup that is older than both, and than the claim.
pub(crate) const OLD_BACKUP: &[&[Action]] = &[
    &[Action::BackUp],
    WRITE_TWICE,
    CLAIM,
    &[Action::Publish { process: 0 }, Action::Publish { process: 0 }],
    RECEIVE_TWO,
    RECEIVE_TWO,
    LOAD,
];
/// One publisher has claimed; then a backup; then two writes, and a page that shows them.
pub(crate) const BACKUP: &[&[Action]] = &[
    CLAIM,
    &[Action::BackUp],
    WRITE_TWICE,
    &[
        Action::BeginRound { process: 0 },
        Action::Publish { process: 0 },
        Action::Publish { process: 0 },
        Action::Publish { process: 0 },
    ],
    RECEIVE_TWO,
    RECEIVE_TWO,
    &[Action::Receive],
    LOAD,
];
/// The original has published the first of two events when its copy claims.
pub(crate) const COPY_CLAIMS: &[&[Action]] = &[
    CLAIM,
    RECEIVE_TWO,
    LOAD,
    &[
        Action::Write { process: 0, account: 0 },
        Action::Copy,
        Action::Write { process: 0, account: 0 },
        Action::BeginRound { process: 0 },
        Action::Publish { process: 0 },
        Action::Look { process: 1 },
        Action::Silence { process: 1 },
        Action::Publish { process: 1 },
        Action::BeginRound { process: 1 },
        Action::Publish { process: 1 },
        Action::Publish { process: 1 },
        Action::MoveAddress,
    ],
];
/// The original publishes a mutation of its own after its copy has found silence, and before it claims.
pub(crate) const COPY_BEHIND: &[&[Action]] = &[
    CLAIM,
    RECEIVE_TWO,
    LOAD,
    &[
        Action::Copy,
        Action::Write { process: 0, account: 0 },
        Action::BeginRound { process: 0 },
        Action::Look { process: 1 },
        Action::Silence { process: 1 },
        Action::Publish { process: 0 },
        Action::Publish { process: 1 },
        Action::BeginRound { process: 1 },
        Action::Publish { process: 1 },
        Action::MoveAddress,
    ],
];
