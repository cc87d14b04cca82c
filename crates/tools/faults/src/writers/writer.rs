//! A client of the sources that writes down what became of every change.

use std::sync::Arc;
use std::time::Duration;

use stack::data::State;
use stack::sources::{Acknowledged as Committed, Change, Failure, NewSample, SourceClient};
use stack::{Moment, PerSource, Random, Source, one_of};

use crate::client::Token;
use crate::history::{Attempt, Mutation, What};
use crate::recorder::Recorder;
use crate::world::World;
use rand::RngExt as _;

/// Who waits longer than that for an answer turns to something else.
const WRITE_WITHIN: Duration = Duration::from_secs(2);
/// How many endpoints of an account are measured: a page of a few kilobytes.
const MEASURED: u64 = 3;

/// A client of the sources.
#[derive(Clone, Debug)]
pub struct Writer {
    sources: SourceClient,
    /// What there is to change.
    pub(super) world: Arc<World>,
    recorder: Arc<Recorder>,
}

/// What a source acknowledged.
#[derive(Debug)]
pub struct Acknowledged {
    /// Whose state changed.
    pub account: u64,
    /// The number of what it created, if it created something.
    pub id: Option<u64>,
}

impl Writer {
    /// Writes to the sources at these addresses.
    pub fn new(urls: PerSource<String>, world: Arc<World>, recorder: Arc<Recorder>) -> Self {
        Self {
            sources: SourceClient::with_patience(urls, WRITE_WITHIN),
            world,
            recorder,
        }
    }

    /// Creates an account.
    pub async fn create_account(&self) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let change = Change::create_account(&format!("account #{serial}"), "");
        let created = self.send(What::Created, change, serial).await?;
        self.world.created(created.account);
        Some(created)
    }

    /// Renames an account.
    pub async fn rename_account(&self, account: u64) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let change = Change::rename_account(account, &format!("account #{serial}"));
        self.send(What::Renamed, change, serial).await
    }

    /// Deletes an account.
    pub async fn delete_account(&self, account: u64) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let deleted = self
            .send(What::Deleted, Change::delete_account(account), serial)
            .await?;
        self.world.deleted(account);
        Some(deleted)
    }

    /// Changes what a source says of an account, in one way or another.
    pub async fn change(&self, source: Source, account: u64, random: &mut Random) -> Option<Acknowledged> {
        match source {
            Source::Accounts => self.rename_account(account).await,
            Source::Endpoints => self.change_endpoints(account, random).await,
            Source::Metrics => self.record_sample(account, random).await,
        }
    }

    /// Adds, renames or removes an endpoint, so that there are always a few.
    pub async fn change_endpoints(&self, account: u64, random: &mut Random) -> Option<Acknowledged> {
        let endpoints = self.world.endpoints(account);
        match endpoints.len() {
            0 | 1 => self.add_endpoint(account).await,
            count => {
                let endpoint = one_of(&endpoints, random);
                match random.random_range(0..5) {
                    0 if count < 4 => self.add_endpoint(account).await,
                    1 => self.remove_endpoint(account, endpoint).await,
                    _ => self.rename_endpoint(account, endpoint).await,
                }
            }
        }
    }

    async fn add_endpoint(&self, account: u64) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let change = Change::add_endpoint(account, &format!("endpoint #{serial}"), "https://example.org/");
        let added = self.send(What::Added, change, serial).await?;
        if let Some(endpoint) = added.id {
            self.world.endpoint_added(account, endpoint);
        }
        Some(added)
    }

    async fn rename_endpoint(&self, account: u64, endpoint: u64) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let change = Change::rename_endpoint(account, endpoint, &format!("endpoint #{serial}"));
        let renamed = self.send(What::Changed, change, serial).await;
        if renamed.is_none() {
            // Refused, it is not there; unanswered, another one will do.
            self.world.endpoint_gone(account, endpoint);
        }
        renamed
    }

    async fn remove_endpoint(&self, account: u64, endpoint: u64) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        self.world.endpoint_gone(account, endpoint);
        let change = Change::remove_endpoint(account, endpoint);
        self.send(What::Removed, change, serial).await
    }

    /// Records one sample of one endpoint.
    pub async fn record_sample(&self, account: u64, random: &mut Random) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let states = [
            (State::Up, 200),
            (State::Up, 200),
            (State::Degraded, 200),
            (State::Down, 0),
        ];
        let (state, status_code) = one_of(&states, random);
        let sample = NewSample {
            endpoint_id: account * 10 + serial % MEASURED,
            at: None,
            state,
            status_code,
            response_ms: u32::try_from(serial % 1_000).unwrap_or_default(),
        };
        let change = Change::record(account, &[sample]);
        self.send(What::Recorded, change, serial).await
    }

    /// Sends a change, and writes down what became of it.
    async fn send(&self, what: What, change: Change, serial: u64) -> Option<Acknowledged> {
        let sent_at = Moment::now();
        match self.sources.change(&change).await {
            Ok(committed) => self.acknowledged(what, serial, &committed),
            Err(Failure::Refused { problem, .. }) if problem.ends_with("another-publisher") => {
                self.recorder.refused();
                None
            }
            // It did not happen.
            Err(refused) if refused.declined() => None,
            Err(_) => {
                self.recorder.attempted(Attempt {
                    source: change.source,
                    account: change.account,
                    what,
                    serial,
                    sent_at,
                });
                None
            }
        }
    }

    /// Writes down the mutation that the answer's token names.
    fn acknowledged(&self, what: What, serial: u64, committed: &Committed) -> Option<Acknowledged> {
        let (source, account, version) = committed.version()?;
        self.recorder.mutated(Mutation {
            source,
            account,
            version,
            what,
            serial,
            sent_at: committed.sent_at,
            acked_at: committed.acked_at,
        });
        let token = Token {
            source,
            version,
            text: committed.token.clone(),
        };
        self.world.written(account, token);
        Some(Acknowledged {
            account,
            id: committed.id(),
        })
    }
}
