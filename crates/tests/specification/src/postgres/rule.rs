//! The rules of the outbox on PostgreSQL that can be left out.

use crate::rule::rules;

rules! {
    /// The account is locked before the row of the outbox draws its id.
    AccountLockedFirst = "D2-account-locked-first",
    /// The relay numbers rows that are committed; a transaction draws no number.
    NumberedByRelay = "D2-numbered-by-relay",
    /// Every committed row is numbered, however old the transactions are that are still open.
    NumbersWhatIsVisible = "D2-numbers-what-is-visible",
    /// A relay looks back to the oldest transaction that was open when it numbered before, not to the last row that it saw.
    LooksBackToOpen = "D2-looks-back-to-open",
    /// It looks at all rows if the incarnation is another one than before.
    LooksAnewAfterRenewal = "D2-looks-anew-after-renewal",
    /// No watermark if the numbering reached its limit.
    FullHoldsBack = "D2-full-holds-back",
    /// A numbering that reached its limit has not seen everything: the next one looks back as far as it did.
    FullLooksBackAgain = "D2-full-looks-back-again",
    /// The relay locks the counter's row, and gives numbers under this lock.
    CounterLocked = "D2-counter-locked",
    /// The lock comes first; the snapshot that is numbered and published from, and T with it, come after it.
    LockBeforeSnapshot = "D2-lock-before-snapshot",
    /// The lock is a statement of its own: one that also gives the numbers has its snapshot before it waits.
    LockInItsOwnStatement = "D2-lock-in-its-own-statement",
    /// The server takes the lock, gives the numbers and commits without waiting for the relay in between.
    NumbersInOneRoundTrip = "D2-numbers-in-one-round-trip",
    /// Numbers are committed before they are published.
    NumbersCommittedFirst = "D2-numbers-committed-first",
    /// T is taken before the numbers are given.
    MomentBeforeNumbering = "D2-moment-before-numbering",
    /// (Where T is taken later.) T is taken before the snapshot that is published from.
    MomentBeforeSnapshot = "D2-moment-before-snapshot",
    /// (Where T is taken between the two.) No watermark if that snapshot holds a row without a number.
    WithoutNumberHoldsBack = "D2-without-number-holds-back",
    /// Rows are deleted that were published, by their ids.
    DeletesWhatItPublished = "D2-deletes-what-it-published",
    /// Rows are deleted only under the incarnation in which they were published.
    DeletesUnderItsIncarnation = "D2-deletes-under-its-incarnation",
    /// The first event of a round and every watermark expect the relay's own last word on the stream.
    ExpectedLastWord = "D4-expected-last-word",
    /// A relay takes over after silence, not when it gets a lock.
    TakesOverAfterSilence = "D4-takes-over-after-silence",
}

impl Rule {
    /// The case in which the checker finds what the rule is for.
    pub const fn case(self) -> &'static str {
        match self {
            Self::AccountLockedFirst
            | Self::NumberedByRelay
            | Self::NumbersWhatIsVisible
            | Self::LooksBackToOpen
            | Self::LockBeforeSnapshot
            | Self::MomentBeforeNumbering
            | Self::MomentBeforeSnapshot
            | Self::WithoutNumberHoldsBack => "commits",
            Self::NumbersCommittedFirst => "killed",
            Self::CounterLocked | Self::LockInItsOwnStatement | Self::ExpectedLastWord => "two-relays",
            Self::LooksAnewAfterRenewal | Self::DeletesWhatItPublished | Self::DeletesUnderItsIncarnation => {
                "renewed"
            }
            Self::FullHoldsBack | Self::FullLooksBackAgain => "limited",
            Self::NumbersInOneRoundTrip | Self::TakesOverAfterSilence => "stopped",
        }
    }
}
