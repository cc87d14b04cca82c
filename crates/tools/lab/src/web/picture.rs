//! The picture of the stack that is sent to whoever looks.

use std::collections::HashMap;

use serde::Serialize;

use super::flow::Flowed;
use super::scrape::{Feed, Scrape, Worth};
use super::side_by_side::Answer;
use super::stage::Stage;
use stack::sources::AccountId;
use stack::supervisor::{Layer, State};

/// Everything at one moment.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    account: AccountId,
    strategy: String,
    /// How long readers wait, in milliseconds; none: as long as the replicas' setting says.
    wait_ms: Option<u32>,
    /// How old their page may be, in seconds; none: no older than it has to be.
    max_age_s: Option<u32>,
    /// The broker first, then the sources, then the replicas, then the naive page.
    parts: Vec<PartSeen>,
    /// Newest first.
    events: Vec<Flowed>,
}

/// One part.
#[derive(Debug, Serialize)]
struct PartSeen {
    name: String,
    layer: Layer,
    state: State,
    /// Whether it answers, if it runs; none before the first look.
    answers: Option<bool>,
    process_id: Option<u32>,
    /// By how much it was slowed down on purpose.
    injected_ms: Option<u32>,
    /// A source's events that are not yet published.
    pending: Option<f64>,
    /// It is cut off from the broker on purpose.
    cut: bool,
    /// What a replica knows of each source.
    feeds: Vec<Feed>,
    /// How many events a replica has applied since its start, each of which raised a fence.
    fenced: Option<f64>,
    /// What a replica's cache was worth with the chosen strategy.
    worth: Option<Worth>,
    /// Which of its scrapes these numbers are from, and when it was made, in milliseconds since somebody looks.
    scraped_ms: Option<u64>,
    /// What a replica last showed.
    answer: Option<Answer>,
}

/// What the lab has seen of the parts, each by those that look at it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) scrapes: HashMap<String, Scrape>,
    pub(super) answers: HashMap<String, Answer>,
    pub(super) events: Vec<Flowed>,
    pub(super) broker_answers: Option<bool>,
}

impl Picture {
    /// Puts together what is known.
    pub(super) fn of(stage: &Stage, mut seen: Seen) -> Self {
        let chosen = stage.chosen().clone();
        let parts = stage.parts.iter().map(|part| {
            let name = part.program.name.clone();
            let scrape = seen.scrapes.remove(&name);
            let decided = stage.processes.state(&name);
            let answers = match part.program.layer {
                Layer::Broker => seen.broker_answers,
                Layer::Source | Layer::Edge | Layer::Naive => scrape.as_ref().map(|scrape| scrape.answers),
            };
            let scrape = scrape.unwrap_or_default();
            PartSeen {
                layer: part.program.layer,
                state: decided,
                answers: answers.filter(|_| decided == State::Running),
                process_id: stage.processes.id(&name),
                injected_ms: chosen.injected.get(&name).copied(),
                pending: scrape.pending,
                cut: stage.link_of(&name).is_some_and(stack::Link::is_held),
                feeds: scrape.feeds,
                fenced: scrape.fenced,
                worth: scrape.worth.get(&chosen.strategy).copied(),
                scraped_ms: scrape.at_ms,
                answer: seen.answers.remove(&name),
                name,
            }
        });
        Self {
            parts: parts.collect(),
            account: chosen.account,
            strategy: chosen.strategy,
            wait_ms: chosen.wait_ms,
            max_age_s: chosen.max_age_s,
            events: seen.events,
        }
    }
}
