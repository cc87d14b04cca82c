//! How often each thing may happen in a case.

/// What a case allows to happen, counted down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each field counts what it is called after")]
pub struct Budget {
    pub writes: u8,
    pub deletions: u8,
    pub rounds: u8,
    pub claims: u8,
    pub loads: u8,
    pub reads: u8,
    pub crashes: u8,
    pub backups: u8,
    pub copies: u8,
    pub losses: u8,
    pub recreations: u8,
    pub tails: u8,
    pub moves: u8,
    pub late: u8,
    pub timeouts: u8,
    pub give_ups: u8,
    pub ages: u8,
}

impl Budget {
    pub(crate) const fn of_all(n: u8) -> Self {
        Self {
            writes: n,
            deletions: n,
            rounds: n,
            claims: n,
            loads: n,
            reads: n,
            crashes: n,
            backups: n,
            copies: n,
            losses: n,
            recreations: n,
            tails: n,
            moves: n,
            late: n,
            timeouts: n,
            give_ups: n,
            ages: n,
        }
    }
}
