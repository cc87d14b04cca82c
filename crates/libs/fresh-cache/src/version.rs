//! Which state of an entity an answer shows.

/// Which state of an entity an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// The incarnation of the source's database; versions of two incarnations cannot be compared.
    pub incarnation: u128,
    /// A counter that the source bumps with every change of the entity.
    pub revision: u64,
    /// A random number that each change draws. A database that was set back uses its revisions a second time, but with other
    /// nonces. A source whose database cannot be set back unnoticed may leave it at 0.
    pub nonce: u64,
}

impl Version {
    /// The version of a source that has one database for ever, which is never set back: a column that grows with every change.
    pub const fn from_revision(revision: u64) -> Self {
        Self {
            incarnation: 0,
            revision,
            nonce: 0,
        }
    }

    /// Whether a fragment of this version reflects the other version. Never between two incarnations, and never for one revision
    /// with two nonces: these are two histories.
    pub const fn reflects(self, other: Self) -> bool {
        self.incarnation == other.incarnation
            && (self.revision > other.revision
                || (self.revision == other.revision && self.nonce == other.nonce))
    }
}
