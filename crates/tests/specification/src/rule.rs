//! The rules that can be left out, one by one, to see what each is for.

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $rule:ident = $name:literal,)+) => {
        /// A rule of the protocol that a run can leave out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[doc = $doc])+ $rule,)+ }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$rule,)+];

            /// The number and the name by which schedules call it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$rule => $name,)+ }
            }
        }
    };
}
pub(crate) use rules;

rules! {
    /// Every mutation draws a nonce, which belongs to version, `ETag` and message id.
    NoncePerMutation = "P1-nonce-per-mutation",
    /// The last word is of this history only if the database knows its nonce, not if its count is not ahead.
    HistoryByNonce = "P2-history-by-nonce",
    /// The last event behind the last word is looked at, too.
    LastEventRead = "P2-last-event-read",
    /// A process that never held a claim renews where the stream is empty: it cannot know what was there.
    RenewWhereStreamIsEmpty = "P2-renew-where-stream-is-empty",
    /// A publisher was deposed only if the foreign word stands behind its own last one; else the stream was set back.
    DeposedOnlyFromBehind = "P2-deposed-only-from-behind",
    /// A database that claims after a foreign claim takes a new incarnation.
    RenewAfterForeignClaim = "P2-renew-after-foreign-claim",
    /// Another publisher is alive at its second word.
    AliveTakesTwoWords = "P2-alive-takes-two-words",
    /// A claim is stored before it is published.
    ClaimStoredFirst = "P2-claim-stored-first",
    /// Words and first events are published with the expected last word.
    ExpectedLastWord = "P3-expected-last-word",
    /// T is taken before the snapshot.
    MomentBeforeSnapshot = "3-moment-before-snapshot",
    /// An event advances the position.
    EventAdvancesPosition = "6-event-advances-position",
    /// An event raises its fence.
    EventFences = "6-event-fences",
    /// A jump of the sequence is a loss.
    JumpIsLoss = "7-jump-is-loss",
    /// A count that is not the one applied is a loss.
    OtherCountIsLoss = "7-other-count-is-loss",
    /// Claims are told apart by their ids, not ordered by their positions in the stream.
    ClaimsAreNotOrdered = "P4-claims-are-not-ordered",
    /// A new claim forgets what was counted under the former.
    ClaimCountsAnew = "P4-claim-counts-anew",
    /// The first message that is received is a loss.
    FirstWordIsLoss = "7-first-word-is-loss",
    /// Events of other claims fence and do no more.
    EventsOfOtherClaimsFenceOnly = "P4-events-of-other-claims-fence-only",
    /// A load notes its position before its request goes out.
    PositionBeforeRequest = "9-position-before-request",
    /// The check looks at the floor.
    FloorChecked = "9-floor-checked",
    /// What is loaded is merged with what is known.
    LoadMerges = "11-load-merges",
    /// Of two answers that cross and do not merge, neither is known to be newer: the source is asked once more.
    CrossedAnswersAskAgain = "11-crossed-answers-ask-again",
    /// Only fragments of one claim merge field by field.
    MergeWithinClaim = "P5-merge-within-claim",
    /// Two fragments without a claim do not merge field by field.
    NoClaimMergesWithNone = "P5-no-claim-merges-with-none",
    /// Only the process that holds a claim states it.
    OnlyHolderStatesClaim = "P5-only-holder-states-claim",
    /// (Where processes share it.) The claim that a database says is held names the running server.
    SharedClaimNamesServer = "P5-shared-claim-names-server",
    /// A watermark vouches only for fragments of its own claim.
    VouchesForItsClaim = "P5-vouches-for-its-claim",
    /// The watermark is loaded before the check.
    WatermarkBeforeCheck = "10-watermark-before-check",
    /// A reader does not join a load that began before something was applied.
    JoinsNoEarlierLoad = "11-joins-no-earlier-load",
    /// A kept fragment reflects a token by revision only if both are of one claim.
    TokenWithinClaim = "13-token-within-claim",
    /// Where a load's answer lost against what was kept, tokens are judged as for what was kept.
    LostAnswerShowsKept = "13-lost-answer-shows-kept",
    /// No marked answer after a deletion that was applied.
    DeletionFences = "12-deletion-fences",
    /// What has arrived when a reader times out is kept.
    EarlyAnswerIsKept = "26-early-answer-is-kept",
    /// A reader that times out gets a fragment unmarked only if it was requested after the reader arrived, or is fresh.
    EarlyUnmarksAskedSince = "26-early-unmarks-asked-since",
    /// A reader that times out gets no fragment whose deletion was applied.
    EarlyHeedsDeletions = "26-early-heeds-deletions",
    /// For a reader that times out, tokens are checked as against a kept fragment, unless its source was asked since.
    EarlyJudgesKept = "26-early-judges-kept",
    /// A reader that accepts an age gets only what states the live claim.
    AgeWithinClaim = "27-age-within-claim",
    /// A reader that accepts an age gets no fragment whose deletion was applied.
    AgeHeedsDeletions = "27-age-heeds-deletions",
    /// A reader that accepts an age gets only what reflects its tokens.
    AgeHeedsTokens = "27-age-heeds-tokens",
    /// A fragment in an event counts only beside a fragment of its claim.
    EventWithinClaim = "17-event-within-claim",
}

impl Rule {
    /// The case in which the checker finds what the rule is for.
    pub const fn case(self) -> &'static str {
        match self {
            Self::LoadMerges | Self::CrossedAnswersAskAgain | Self::EventWithinClaim => "start",
            Self::MomentBeforeSnapshot
            | Self::EventAdvancesPosition
            | Self::EventFences
            | Self::OtherCountIsLoss
            | Self::FirstWordIsLoss
            | Self::PositionBeforeRequest
            | Self::FloorChecked => "lost-words",
            Self::JumpIsLoss => "accounts",
            Self::WatermarkBeforeCheck => "pauses",
            Self::EarlyAnswerIsKept | Self::EarlyHeedsDeletions => "early",
            Self::EarlyUnmarksAskedSince | Self::EarlyJudgesKept => "early-rollback",
            Self::AgeHeedsDeletions | Self::AgeHeedsTokens => "age",
            Self::AgeWithinClaim => "age-rollback",
            Self::JoinsNoEarlierLoad | Self::DeletionFences => "deletion",
            Self::ClaimStoredFirst | Self::ExpectedLastWord => "restart-cold",
            Self::NoncePerMutation | Self::NoClaimMergesWithNone => "rollback-cold",
            Self::HistoryByNonce | Self::MergeWithinClaim | Self::TokenWithinClaim => "rollback-own",
            Self::LostAnswerShowsKept => "rollback-event-fragment",
            Self::LastEventRead => "rollback",
            Self::RenewAfterForeignClaim => "rollback-old",
            Self::DeposedOnlyFromBehind | Self::AliveTakesTwoWords => "rollback-tail",
            Self::RenewWhereStreamIsEmpty => "rollback-gone",
            Self::EventsOfOtherClaimsFenceOnly => "copy-claims",
            Self::ClaimCountsAnew => "copy-behind",
            Self::OnlyHolderStatesClaim | Self::VouchesForItsClaim => "copy",
            Self::SharedClaimNamesServer => "copy-shared",
            Self::ClaimsAreNotOrdered => "restart-recreated",
        }
    }
}
