//! What the lab's page shows and breaks: the parts of the running stack, and what was done to them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::Notify;

use super::refused::Refused;
use crate::parts::{LINKED, NAIVE, Part, Stack};
use stack::sources::{AccountId, ListedAccount, SourceClient};
use stack::supervisor::{Layer, Processes};
use stack::{Link, Preferences};

/// The most accounts that can be chosen from.
const LISTED: u16 = 50;

/// The running stack, in the hands of the lab's page.
#[derive(Debug)]
pub struct Stage {
    pub(super) processes: Processes,
    pub(super) parts: Vec<Part>,
    pub(super) sources: SourceClient,
    pub(super) stack: Stack,
    pub(super) accounts: Vec<ListedAccount>,
    /// Between the second replica and the broker; none if there is no second replica.
    pub(super) link: Option<Link>,
    /// One control at a time: each leaves its part as it says.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// A control was performed: what the page holds by now is worth looking at now, not at the next tick.
    pub(super) performed: Notify,
    chosen: Mutex<Chosen>,
}

/// What was chosen on the page.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    /// Whose page the replicas are asked for.
    pub(super) account: AccountId,
    /// With which strategy.
    pub(super) strategy: String,
    /// How long their readers wait, in milliseconds; none: as long as the replicas' setting says.
    pub(super) wait_ms: Option<u32>,
    /// How old the page may be, in seconds; none: no older than it has to be.
    pub(super) max_age_s: Option<u32>,
    /// By how many milliseconds each source was slowed down.
    pub(super) injected: HashMap<String, u32>,
}

impl Chosen {
    /// What the replicas' readers ask for besides the page.
    pub(super) fn preferences(&self) -> Preferences {
        Preferences {
            wait: self.wait_ms.map(|ms| Duration::from_millis(ms.into())),
            max_age: self.max_age_s.map(|seconds| Duration::from_secs(seconds.into())),
            ..Preferences::default()
        }
    }
}

impl Stage {
    /// Takes a stack that runs, and shows the page of `account` first.
    pub async fn new(
        stack: Stack,
        processes: Processes,
        link: Option<Link>,
        account: AccountId,
    ) -> Result<Self> {
        let sources = stack.clients();
        let accounts = sources.list_accounts(LISTED).await?;
        let first = accounts.first().map_or(account, |first| first.id);
        let listed = accounts.iter().any(|listed| listed.id == account);
        let parts = [
            vec![stack.nats()],
            stack.sources(),
            stack.pages(),
            vec![stack.naive()],
        ]
        .concat();
        let chosen = Mutex::new(Chosen {
            account: if listed { account } else { first },
            strategy: stack.strategy().to_owned(),
            wait_ms: None,
            max_age_s: None,
            injected: HashMap::new(),
        });
        Ok(Self {
            processes,
            parts,
            sources,
            stack,
            accounts,
            link,
            turn: tokio::sync::Mutex::default(),
            performed: Notify::new(),
            chosen,
        })
    }

    /// The parts of one layer.
    pub(super) fn layer(&self, layer: Layer) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.program.layer == layer)
    }

    /// A part by its name.
    pub(super) fn part(&self, name: &str) -> Result<&Part, Refused> {
        let mut parts = self.parts.iter();
        parts
            .find(|part| part.program.name == name)
            .ok_or_else(|| Refused::NoSuchPart(name.to_owned()))
    }

    /// The link, which the second replica and the naive page share.
    pub(super) fn link_of(&self, name: &str) -> Option<&Link> {
        self.link.as_ref().filter(|_| [LINKED, NAIVE].contains(&name))
    }

    /// What is chosen now; not to be held for long.
    pub(super) fn chosen(&self) -> MutexGuard<'_, Chosen> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
