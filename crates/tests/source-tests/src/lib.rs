//! What every service must show that keeps data for accounts: whose the data is stays true, in whatever order, and however
//! often, the events of accounts arrive (rule 24).
//!
//! - [`Accounts`] is a stand-in for the accounts service: an outbox and its relay, and nothing else.
//! - [`tests_of_lives`] makes the tests of one service, with a real broker, out of its [`App`].
//! - [`histories`] are random histories, for a service's [`Store`](histories::Store) without a broker.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "tests: what goes wrong fails them"
)]

mod accounts;
pub mod histories;
pub mod lives;

pub use accounts::{Accounts, delete_stream, delete_subscription};

use reqwest::Response;
use test_support::NatsServer;

/// A service that keeps data for accounts, with a database and a broker of its own.
#[expect(async_fn_in_trait, reason = "the tests run on one thread")]
pub trait App: Sized {
    /// The name of its durable consumer.
    const NAME: &str;

    /// Starts the service on a new database and a new broker.
    async fn spawn() -> Self;

    /// Starts it again with an empty database and the same broker.
    async fn respawn_reset(self) -> Self;

    /// The broker.
    fn nats(&self) -> &NatsServer;

    /// The broker, to kill it and to restart it.
    fn nats_mut(&mut self) -> &mut NatsServer;

    /// Adds to the account's data, and expects that this is acknowledged.
    async fn write(&self, account: i64);

    /// Fails unless the account has this much data. At most one is written to an account.
    async fn assert_written(&self, account: i64, count: usize);

    /// Fails unless the account gets no new data, because it ended.
    async fn assert_refused(&self, account: i64);

    /// What is answered about the account's data; "not modified" if it has the entity tag.
    async fn answer(&self, account: i64, held: Option<&str>) -> Response;
}
