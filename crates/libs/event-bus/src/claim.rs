//! The right to publish for a source: who holds it says so in every message.

use std::fmt;
use std::str::FromStr;

use crate::incarnation::{NotSixteenDigits, sixteen_digits};

/// One publisher's tenure: 64 random bits, written as 16 hexadecimal digits.
///
/// A relay mints one at every start and at every new connection, and publishes it on the subject of the watermarks before it
/// publishes anything else. A watermark vouches only for answers that state the same claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim(pub u64);

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Claim {
    type Err = NotSixteenDigits;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        sixteen_digits(text).map(Self)
    }
}
