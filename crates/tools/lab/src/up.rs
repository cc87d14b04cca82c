//! `lab up`: from nothing to a running stack with real data in it, and back to nothing.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use crate::addresses::Ports;
use crate::config::UpConfig;
use crate::folder::DataFolder;
use crate::parts::{Part, Stack};
use crate::replay::replay;
use crate::room;
use crate::strategies::delete_leftovers;
use crate::web::{self, Stage};
use crate::welcome::{Welcome, account_of_the_walk};
use stack::console::Console;
use stack::data::Recording;
use stack::ports::local;
use stack::seed::{SeedRecord, Seeded, seed};
use stack::supervisor::Supervisor;
use stack::{Link, StopSignals};

/// How long a part may take until it is ready; a debug build on a busy machine needs seconds.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Runs the stack until a signal or a failure ends it; nothing that it started outlives the call.
///
/// Wants a runtime of one thread, the caller's: see [`Processes::start`](stack::supervisor::Processes::start).
pub async fn up(config: &UpConfig, console: &Console) -> Result<()> {
    // Everything that can be missing is looked for before anything runs.
    let recording = Arc::new(Recording::read(&config.data)?);
    let folder = DataFolder::open(&config.data_dir)?;
    let viewer = config.otel_exporter_otlp_endpoint.is_none();
    let ports = Ports::choose(&config.ports, config.replicas, viewer)?;
    let stack = Stack::find(config, ports)?;
    if folder.discard_half_a_seeding()? {
        console.say("the last seeding was interrupted: deleted its databases, seeding again");
    }
    if let Some(warning) = room::settle(folder.path())? {
        console.say(warning);
    }

    let mut signals = StopSignals::new()?;
    let mut supervisor = Supervisor::new(console.clone());
    let mut lab = Lab {
        config,
        console,
        recording,
        folder,
        stack,
        supervisor: &mut supervisor,
    };
    let outcome = tokio::select! {
        outcome = lab.run() => outcome,
        name = signals.next() => {
            console.say(format_args!("{name}: stopping; once more to kill"));
            Ok(())
        }
    };
    let hurry = supervisor.processes.hurry();
    let mut stopping = pin!(supervisor.processes.stop());
    tokio::select! {
        () = &mut stopping => {}
        _ = signals.next() => {
            hurry.cancel();
            stopping.await;
        }
    }
    console.say("stopped; the data stays for the next time");
    outcome
}

/// What the steps of a run share.
struct Lab<'run> {
    config: &'run UpConfig,
    console: &'run Console,
    recording: Arc<Recording>,
    folder: DataFolder,
    stack: Stack,
    supervisor: &'run mut Supervisor,
}

impl Lab<'_> {
    async fn run(&mut self) -> Result<()> {
        let traces = self.stack.traces();
        self.start([self.stack.nats()].into_iter().chain(traces).collect())
            .await?;
        self.start(self.stack.sources()).await?;
        let seeded = self.seed_if_empty().await?;
        let sources = self.stack.clients();
        self.supervisor
            .unless_one_dies(delete_leftovers(&sources))
            .await??;
        let link = self.link().await?;
        self.start(self.stack.pages()).await?;
        let stage = Stage::new(
            self.stack.clone(),
            self.supervisor.processes.clone(),
            link,
            account_of_the_walk(&seeded),
        );
        let stage = Arc::new(self.supervisor.unless_one_dies(stage).await??);
        let listener = web::listen(self.stack.ports.lab).await?;
        self.console.show(Welcome::new(&self.stack, &seeded));
        let allowed_hosts = self.config.allowed_hosts.clone();
        self.go_on(&seeded, web::serve(listener, stage, allowed_hosts))
            .await
    }

    /// What stands between the second replica and the broker, if there is a second one.
    async fn link(&self) -> Result<Option<Link>> {
        let ports = &self.stack.ports;
        match ports.pages.len() {
            0 | 1 => Ok(None),
            _ => Link::start_on(ports.link, &local(ports.nats).to_string())
                .await
                .map(Some)
                .with_context(|| {
                    let port = ports.link;
                    format!("port {port}, wanted for the second replica's link, cannot be used")
                }),
        }
    }

    /// Starts all parts, then waits for each: they get ready side by side.
    async fn start(&mut self, parts: Vec<Part>) -> Result<()> {
        for part in &parts {
            self.supervisor.processes.start(&part.program)?;
        }
        for part in &parts {
            self.supervisor
                .until_ready(&part.program.name, READY_WITHIN, part.probe.until_ready())
                .await?;
        }
        Ok(())
    }

    async fn seed_if_empty(&mut self) -> Result<Seeded> {
        let sources = self.stack.clients();
        if !self.supervisor.unless_one_dies(sources.is_empty()).await?? {
            return match SeedRecord::read(self.folder.path())? {
                Some(SeedRecord::Done(seeded)) => Ok(seeded),
                _ => Ok(Seeded::default()),
            };
        }
        let began = Instant::now();
        let now = Timestamp::now();
        SeedRecord::Started.write(self.folder.path())?;
        let seeded = self
            .supervisor
            .unless_one_dies(seed(&self.recording, &sources, now))
            .await??;
        SeedRecord::Done(seeded.clone()).write(self.folder.path())?;
        self.console.say(self.what_was_seeded(began.elapsed()));
        Ok(seeded)
    }

    fn what_was_seeded(&self, took: Duration) -> String {
        let accounts = &self.recording.accounts;
        let skipped = self.recording.skipped;
        format!(
            "seeded {} accounts, {} endpoints and {} real samples in {:.1} s\n\
             each account's samples are moved so that its newest one is now: the recordings end at different times\n\
             left out: {} endpoints that are no http or https URL (TCP pings, ftp), and their {} samples",
            accounts.len(),
            accounts
                .iter()
                .map(|account| account.endpoints.len())
                .sum::<usize>(),
            accounts
                .iter()
                .map(|account| account.samples.len())
                .sum::<usize>(),
            took.as_secs_f64(),
            skipped.endpoints,
            skipped.samples,
        )
    }

    /// Replays the recording and serves the lab's page, until a child dies; the caller ends it otherwise.
    async fn go_on(&mut self, seeded: &Seeded, page: impl Future<Output = Result<()>>) -> Result<()> {
        let speed = self.config.replay_speed;
        self.console.say(match speed {
            0 => "no replay (--replay-speed 0): pages change when you change them".to_owned(),
            _ if seeded.accounts.is_empty() => "no replay: these accounts were not seeded by the lab".to_owned(),
            _ => format!("replaying the recorded samples at {speed} times their pace, stamped now; --replay-speed 0 turns it off"),
        });
        let sources = self.stack.clients();
        let recording = Arc::clone(&self.recording);
        let goes_on = async {
            tokio::select! {
                served = page => served,
                () = replay(recording, seeded, speed, &sources, self.console) => Ok(()),
            }
        };
        self.supervisor.unless_one_dies(goes_on).await?
    }
}
