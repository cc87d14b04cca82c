//! What there is to read and to write: the accounts of now, as far as this program knows.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stack::Random;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::client::Token;
use rand::RngExt as _;
use rand::seq::IteratorRandom as _;

/// How many deleted accounts are still read.
const DELETED: usize = 6;
/// How many of the latest writes are read back by their tokens.
const RECENT: usize = 24;

/// The accounts 1 to `steady`, which are there for the whole run, and some that come and go.
#[derive(Debug)]
pub struct World {
    /// How many accounts there are for the whole run; an even number.
    pub steady: u64,
    state: Mutex<State>,
    /// Held for writing while accounts has a new database, until the steady accounts are in it: they must get the first ids.
    creating: RwLock<()>,
}

#[derive(Debug, Default)]
struct State {
    extras: VecDeque<u64>,
    deleted: VecDeque<u64>,
    endpoints: HashMap<u64, Vec<u64>>,
    recent: VecDeque<(u64, Token)>,
}

impl World {
    /// A world that is still empty.
    pub fn new(steady: u64) -> Self {
        Self {
            steady,
            state: Mutex::default(),
            creating: RwLock::default(),
        }
    }

    /// Every account whose page is worth a look: the steady ones, the extras, the latest deleted.
    pub fn accounts(&self) -> Vec<u64> {
        let state = self.state();
        let others = state.extras.iter().chain(&state.deleted).copied();
        let mut accounts: Vec<_> = (1..=self.steady).chain(others).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }

    /// An account to read: mostly a steady one, sometimes one that was deleted.
    pub fn account_to_read(&self, random: &mut Random) -> u64 {
        let state = self.state();
        let one_of = |ids: &VecDeque<u64>, random: &mut Random| ids.iter().choose(random).copied();
        let other = match random.random_range(0..20) {
            0..3 => one_of(&state.extras, random),
            3..5 => one_of(&state.deleted, random),
            _ => None,
        };
        other.unwrap_or_else(|| self.steady_account(random))
    }

    /// One of the latest writes, to be read back.
    pub fn write_to_read_back(&self, random: &mut Random) -> Option<(u64, Token)> {
        let state = self.state();
        state.recent.iter().choose(random).cloned()
    }

    /// A steady account.
    pub fn steady_account(&self, random: &mut Random) -> u64 {
        random.random_range(1..=self.steady)
    }

    /// A write was acknowledged.
    pub fn written(&self, account: u64, token: Token) {
        let mut state = self.state();
        state.recent.push_back((account, token));
        if state.recent.len() > RECENT {
            state.recent.pop_front();
        }
    }

    /// An extra account was created.
    pub fn created(&self, account: u64) {
        if account > self.steady {
            self.state().extras.push_back(account);
        }
    }

    /// The extra account that has been there longest, which is one no more.
    pub fn take_oldest_extra(&self) -> Option<u64> {
        self.state().extras.pop_front()
    }

    /// How many extra accounts there are.
    pub fn extras(&self) -> usize {
        self.state().extras.len()
    }

    /// An extra account was deleted.
    pub fn deleted(&self, account: u64) {
        let mut state = self.state();
        state.deleted.push_back(account);
        if state.deleted.len() > DELETED {
            state.deleted.pop_front();
        }
    }

    /// The endpoints of an account.
    pub fn endpoints(&self, account: u64) -> Vec<u64> {
        self.state().endpoints.get(&account).cloned().unwrap_or_default()
    }

    /// An endpoint was added.
    pub fn endpoint_added(&self, account: u64, endpoint: u64) {
        self.state().endpoints.entry(account).or_default().push(endpoint);
    }

    /// An endpoint is gone.
    pub fn endpoint_gone(&self, account: u64, endpoint: u64) {
        if let Some(endpoints) = self.state().endpoints.get_mut(&account) {
            endpoints.retain(|known| *known != endpoint);
        }
    }

    /// The endpoints service has a new database.
    pub fn endpoints_reset(&self) {
        self.state().endpoints.clear();
    }

    /// The accounts service has a new database: its ids begin again.
    pub fn accounts_reset(&self) {
        let mut state = self.state();
        state.extras.clear();
        state.deleted.clear();
    }

    /// To be held while an extra account is created.
    pub async fn may_create(&self) -> RwLockReadGuard<'_, ()> {
        self.creating.read().await
    }

    /// To be held until the steady accounts are there again.
    pub async fn nobody_creates(&self) -> RwLockWriteGuard<'_, ()> {
        self.creating.write().await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
