//! What names a state of an entity so that no two histories of a database share the name.

use std::fmt;
use std::str::FromStr;

use crate::Claim;

/// The id of a source's database: 128 random bits, written as 32 hexadecimal digits.
///
/// A new one means that everything known of the source is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(pub u128);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("an incarnation is 32 hexadecimal digits")]
pub struct NotAnIncarnation;

impl FromStr for Incarnation {
    type Err = NotAnIncarnation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hexadecimal = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = hexadecimal.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or(NotAnIncarnation)
    }
}

/// A random number that a mutation draws, so that two histories of one database never share a version (rule 22).
///
/// A database that is set back to a backup counts on from an older revision, and gives out the same revisions and sequences
/// again for other content. The number tells them apart. Written as 16 hexadecimal digits; 0 is the nonce of what never was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Nonce(pub u64);

impl Nonce {
    /// Draws one from the operating system, whose source of random numbers is not part of any copy of the process.
    ///
    /// # Panics
    ///
    /// If the operating system has no random numbers; then nothing here could tell two histories apart.
    pub fn draw() -> Self {
        Self(getrandom::u64().expect("the operating system gives random numbers"))
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text is not 16 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("16 hexadecimal digits are expected")]
pub struct NotSixteenDigits;

/// Reads what [`Nonce`] and [`Claim`](crate::Claim) write.
pub(crate) fn sixteen_digits(text: &str) -> Result<u64, NotSixteenDigits> {
    let hexadecimal = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = hexadecimal.then(|| u64::from_str_radix(text, 16).ok()).flatten();
    number.ok_or(NotSixteenDigits)
}

impl FromStr for Nonce {
    type Err = NotSixteenDigits;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        sixteen_digits(text).map(Self)
    }
}

/// Which state of an entity: its revision, the database that counts it, and the nonce of the mutation that made it.
/// Revisions of two incarnations do not compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Of the source's database.
    pub incarnation: Incarnation,
    /// Counts the entity's changes; 0 if it never was.
    pub revision: u64,
    /// Of the mutation that made this revision.
    pub nonce: Nonce,
}

/// `<incarnation>-<revision>-<nonce>`: the first part of an `ETag`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.incarnation, self.revision, self.nonce)
    }
}

impl Version {
    /// `<source>/<entity>/<incarnation>=<revision>-<nonce>`, and `-<claim>` where one is live: what a client sends along to read
    /// its own write (rule 13).
    pub fn consistency_token(self, source: &str, entity: i64, claim: Option<Claim>) -> String {
        let Self {
            incarnation,
            revision,
            nonce,
        } = self;
        let token = format!("{source}/{entity}/{incarnation}={revision}-{nonce}");
        match claim {
            Some(claim) => format!("{token}-{claim}"),
            None => token,
        }
    }
}
