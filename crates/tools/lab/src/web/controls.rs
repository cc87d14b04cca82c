//! What can be done to the stack from the lab's page, and how it is undone.

use std::time::Duration;

use anyhow::anyhow;
use async_nats::jetstream;
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::timeout;

use super::refused::Refused;
use super::stage::Stage;
use crate::config::STRATEGIES;
use crate::parts::{LINKED, NAIVE, Part};
use stack::data::State as Found;
use stack::sources::{AccountId, NewSample};
use stack::supervisor::{Layer, State};
use stack::{STREAM, ports};

/// The most that the sources hold an answer back for.
const MOST_LATENCY_MS: u32 = 9_000;

/// How many requests a burst of samples is, with a sample each: each is a mutation and an event.
const BURST: u32 = 20;

/// How long the broker may take to answer.
pub(super) const BROKER_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// What may come with a control; each takes what it needs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    part: Option<String>,
    ms: Option<u32>,
    seconds: Option<u32>,
    name: Option<String>,
    id: Option<AccountId>,
}

/// A control and all that it needs.
#[derive(Debug)]
pub(super) enum Control {
    Watch(AccountId),
    Strategy(String),
    Wait(Option<u32>),
    MaxAge(Option<u32>),
    Rename(Option<String>),
    AddEndpoint,
    Burst,
    Pause(String),
    Resume(String),
    Kill(String),
    Stop(String),
    Start(String),
    Slow(String, u32),
    Cut(String),
    Mend(String),
    DeleteStream,
    UndoAll,
}

impl Control {
    /// Reads a control from the last part of its address and its parameters.
    pub(super) fn read(control: &str, asked: Asked) -> Result<Self, Refused> {
        let missing = |what| move || Refused::Missing(control.to_owned(), what);
        let part = |part: Option<String>| part.ok_or_else(missing("part"));
        Ok(match control {
            "watch" => Self::Watch(asked.id.ok_or_else(missing("id"))?),
            "strategy" => Self::Strategy(asked.name.ok_or_else(missing("name"))?),
            "wait" => Self::Wait(asked.ms),
            "max-age" => Self::MaxAge(asked.seconds),
            "rename" => Self::Rename(asked.name.filter(|name| !name.trim().is_empty())),
            "add-endpoint" => Self::AddEndpoint,
            "burst" => Self::Burst,
            "pause" => Self::Pause(part(asked.part)?),
            "resume" => Self::Resume(part(asked.part)?),
            "kill" => Self::Kill(part(asked.part)?),
            "stop" => Self::Stop(part(asked.part)?),
            "start" => Self::Start(part(asked.part)?),
            "slow" => Self::Slow(part(asked.part)?, asked.ms.ok_or_else(missing("ms"))?),
            "cut" => Self::Cut(part(asked.part)?),
            "mend" => Self::Mend(part(asked.part)?),
            "delete-stream" => Self::DeleteStream,
            "undo-all" => Self::UndoAll,
            other => return Err(Refused::NoSuchControl(other.to_owned())),
        })
    }
}

impl Stage {
    /// Performs a control; answers what was done, in words.
    pub(super) async fn perform(&self, control: Control) -> Result<String, Refused> {
        let _turn = self.turn.lock().await;
        let said = match control {
            Control::Watch(account) => self.watch(account).await,
            Control::Strategy(name) => self.choose_strategy(name),
            Control::Wait(ms) => Ok(self.choose_wait(ms)),
            Control::MaxAge(seconds) => Ok(self.choose_max_age(seconds)),
            Control::Rename(name) => self.rename(name).await,
            Control::AddEndpoint => self.add_endpoint().await,
            Control::Burst => self.burst().await,
            Control::Pause(part) => self.pause(&part),
            Control::Resume(part) => self.resume(&part),
            Control::Kill(part) => self.kill(&part).await,
            Control::Stop(part) => self.stop(&part).await,
            Control::Start(part) if part == NAIVE => self.start_naive().await,
            Control::Start(part) => self.start(&part),
            Control::Slow(part, ms) => self.slow(&part, ms).await,
            Control::Cut(part) => self.cut(&part, true).await,
            Control::Mend(part) => self.cut(&part, false).await,
            Control::DeleteStream => self.delete_stream().await,
            Control::UndoAll => self.undo_all().await,
        };
        self.performed.notify_one();
        said
    }

    async fn watch(&self, account: AccountId) -> Result<String, Refused> {
        if !self.accounts.iter().any(|listed| listed.id == account) {
            self.sources.require_account(account).await?;
        }
        self.chosen().account = account;
        Ok(format!("the replicas are asked for account {account}"))
    }

    fn choose_strategy(&self, name: String) -> Result<String, Refused> {
        if !STRATEGIES.contains(&name.as_str()) {
            return Err(Refused::NotPossible(format!(
                "there is no strategy called {name}"
            )));
        }
        let said = format!("the replicas are asked with Cache-Strategy: {name}");
        self.chosen().strategy = name;
        Ok(said)
    }

    fn choose_wait(&self, ms: Option<u32>) -> String {
        self.chosen().wait_ms = ms;
        match ms {
            Some(ms) => format!("the replicas are asked with Prefer: wait-ms={ms}"),
            None => "the replicas are asked without Prefer: their own setting says how long a reader waits"
                .to_owned(),
        }
    }

    fn choose_max_age(&self, seconds: Option<u32>) -> String {
        self.chosen().max_age_s = seconds;
        match seconds {
            Some(seconds) => format!("the replicas are asked with Cache-Control: max-age={seconds}"),
            None => "the replicas are asked without Cache-Control: max-age".to_owned(),
        }
    }

    async fn rename(&self, name: Option<String>) -> Result<String, Refused> {
        let account = self.chosen().account;
        // Always another one: a name that stays the same is no change.
        let name = name.unwrap_or_else(|| format!("Renamed at {}", moment()));
        let revision = self.sources.rename_account(account, &name).await?;
        Ok(format!("account {account} is “{name}”, at revision {revision}"))
    }

    async fn add_endpoint(&self) -> Result<String, Refused> {
        let account = self.chosen().account;
        let moment = moment();
        let url = format!("https://example.org/lab/{moment}");
        let name = format!("Added at {moment}");
        let endpoint = self.sources.add_endpoint(account, &name, &url).await?;
        Ok(format!("account {account} has endpoint {endpoint}, “{name}”"))
    }

    async fn burst(&self) -> Result<String, Refused> {
        let account = self.chosen().account;
        let endpoints = self.sources.list_endpoints(account).await?;
        let Some(endpoint_id) = endpoints.first().copied() else {
            return Err(Refused::NotNow(format!("account {account} has no endpoint")));
        };
        // A millisecond apart: of two samples of one moment, the later replaces the earlier.
        let now = Timestamp::now();
        let sample = |place: u32| NewSample {
            endpoint_id,
            at: Some(now - SignedDuration::from_millis(place.into())),
            state: Found::Up,
            status_code: 200,
            response_ms: 20 + place,
        };
        let posts =
            (0..BURST).map(|place| async move { self.sources.record(account, &[sample(place)]).await });
        try_join_all(posts).await?;
        Ok(format!(
            "account {account} got {BURST} samples by {BURST} requests at once"
        ))
    }

    fn pause(&self, name: &str) -> Result<String, Refused> {
        self.require(name, State::Running)?;
        self.processes.pause(name)?;
        Ok(format!("{name} stands still"))
    }

    fn resume(&self, name: &str) -> Result<String, Refused> {
        self.require(name, State::Paused)?;
        self.processes.resume(name)?;
        Ok(format!("{name} goes on"))
    }

    async fn kill(&self, name: &str) -> Result<String, Refused> {
        self.require_alive(name)?;
        self.processes.kill(name).await?;
        Ok(format!("{name} is killed"))
    }

    async fn stop(&self, name: &str) -> Result<String, Refused> {
        self.require_alive(name)?;
        self.processes.end_gently(name).await?;
        Ok(format!("{name} has ended"))
    }

    fn start(&self, name: &str) -> Result<String, Refused> {
        let part = self.require(name, State::Down)?;
        require_free(part)?;
        let mut program = part.program.clone();
        if let Some(ms) = self.chosen().injected.get(name) {
            program
                .arguments
                .extend(["--inject-latency".to_owned(), ms.to_string()]);
        }
        self.processes.start(&program)?;
        Ok(format!("{name} is started"))
    }

    /// Latency is a setting of the source's, so that it is the source that says so; hence the restart.
    async fn slow(&self, name: &str, ms: u32) -> Result<String, Refused> {
        if self.part(name)?.program.layer != Layer::Source {
            return Err(Refused::NotPossible("only sources can be slowed down".to_owned()));
        }
        if ms > MOST_LATENCY_MS {
            return Err(Refused::NotPossible(format!("at most {MOST_LATENCY_MS} ms")));
        }
        if ms == 0 {
            self.chosen().injected.remove(name);
        } else {
            self.chosen().injected.insert(name.to_owned(), ms);
        }
        if self.processes.state(name) != State::Down {
            self.processes.end_gently(name).await?;
        }
        self.start(name)?;
        Ok(format!(
            "{name} is started again and holds each answer about an account back for {ms} ms"
        ))
    }

    async fn cut(&self, name: &str, cut: bool) -> Result<String, Refused> {
        self.part(name)?;
        let link = self.link_of(name).ok_or_else(|| {
            Refused::NotPossible(format!("only {LINKED} can be cut off, and {NAIVE} with it"))
        })?;
        if cut {
            link.hold().await;
            Ok(format!("{LINKED} is cut off from NATS, and {NAIVE} with it"))
        } else {
            link.open();
            Ok(format!("{LINKED} can reach NATS again, and so can {NAIVE}"))
        }
    }

    async fn delete_stream(&self) -> Result<String, Refused> {
        let url = self.stack.nats_url();
        let deleting = async {
            let client = async_nats::connect(url).await;
            let client = client.map_err(|_| anyhow!("NATS cannot be reached"))?;
            let stream = jetstream::new(client).delete_stream(STREAM).await;
            stream.map_err(anyhow::Error::from)
        };
        let deleted = timeout(BROKER_ANSWERS_WITHIN, deleting).await;
        deleted.map_err(|_| Refused::NotNow("NATS does not answer".to_owned()))??;
        Ok(format!("the stream {STREAM} is deleted, with all that was in it"))
    }

    async fn undo_all(&self) -> Result<String, Refused> {
        if let Some(link) = &self.link {
            link.open();
        }
        self.stack.strategy().clone_into(&mut self.chosen().strategy);
        (self.chosen().wait_ms, self.chosen().max_age_s) = (None, None);
        self.end_naive().await?;
        for part in self
            .parts
            .iter()
            .filter(|part| part.program.layer != Layer::Naive)
        {
            let name = part.program.name.as_str();
            // Also what was paused in a terminal, which nobody here knows of.
            if self.processes.state(name) != State::Down {
                self.processes.resume(name)?;
            }
            let slowed = self.chosen().injected.contains_key(name);
            if slowed {
                self.slow(name, 0).await?;
            } else if self.processes.state(name) == State::Down {
                self.start(name)?;
            }
        }
        Ok("everything runs as it did at first; what was written stays".to_owned())
    }

    fn require_alive(&self, name: &str) -> Result<(), Refused> {
        self.part(name)?;
        match self.processes.state(name) {
            State::Down => Err(Refused::NotNow(format!("{name} does not run"))),
            State::Running | State::Paused => Ok(()),
        }
    }

    pub(super) fn require(&self, name: &str, wanted: State) -> Result<&Part, Refused> {
        let part = self.part(name)?;
        let state = self.processes.state(name);
        if state == wanted {
            return Ok(part);
        }
        let is = match state {
            State::Down => "does not run",
            State::Running => "is running",
            State::Paused => "is paused",
        };
        Err(Refused::NotNow(format!("{name} {is}")))
    }
}

/// A part that meets somebody else at its port would end by itself, and the lab with it.
pub(super) fn require_free(part: &Part) -> Result<(), Refused> {
    let free = ports::require_free(part.port, &part.program.name);
    free.map_err(|taken| Refused::NotNow(format!("{taken:#}")))
}

/// The time of day to the millisecond, as UTC.
fn moment() -> String {
    Timestamp::now().strftime("%H:%M:%S%.3f").to_string()
}
