//! Whom a load is meant for: accounts, and what is known of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stack::Source;

use crate::client::{self, Account, Client, Failure, Reading, Write};
use crate::oracle::Oracle;

/// Whom the load is meant for; copies are the same.
#[derive(Clone, Debug)]
pub struct Target {
    /// Who asks.
    pub client: Client,
    /// How its pages are read.
    pub reading: Reading,
    /// Whose pages are read and changed, by the places that a plan speaks of.
    pub accounts: Arc<[Account]>,
    /// Learns of every change, and judges every answer.
    pub oracle: Arc<Oracle>,
    /// How many changes there were: no two say the same.
    changes: Arc<AtomicU64>,
}

impl Target {
    /// A target of which nothing is known yet.
    pub fn new(client: Client, reading: Reading, accounts: Vec<Account>) -> Self {
        Self {
            client,
            reading,
            accounts: accounts.into(),
            oracle: Arc::default(),
            changes: Arc::default(),
        }
    }

    /// The same accounts, read in another way: what was written is known to both.
    #[must_use]
    pub fn read_as(&self, reading: Reading) -> Self {
        Self {
            reading,
            ..self.clone()
        }
    }

    /// Changes an account at a source, and remembers it once it is acknowledged.
    pub async fn write(&self, source: Source, account: &Account) -> Result<Write, Failure> {
        let number = self.changes.fetch_add(1, Ordering::Relaxed);
        let write = self
            .client
            .change(&client::change(source, account, number))
            .await?;
        self.oracle.learn(&write)?;
        Ok(write)
    }
}
