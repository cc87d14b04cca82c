//! Rounds: faults, repairs, convergence, checks.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stack::{ReadError, Source, random};
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::check::{Checker, Rule, Violation};
use crate::client::Reader;
use crate::config::Config;
use crate::convergence::Inspector;
use crate::history::Subject;
use crate::inject::Injector;
use crate::readers::Readers;
use crate::recorder::Recorder;
use crate::report::{Report, RoundReport};
use crate::schedule::Schedule;
use crate::under_test::StackUnderTest;
use crate::world::World;
use crate::writers::{self, Writer};
use rand::Rng as _;

/// How many accounts there are for the whole run.
const STEADY: u64 = 8;
/// How long everybody goes on writing after the repairs, every other round: some changes must come while caches recover, and
/// some recoveries must do without.
const GO_ON: Duration = Duration::from_millis(500);
/// How long the control gets at the end to become right by itself.
const AT_THE_END: Duration = Duration::from_secs(2);

/// A seed nobody chose.
pub fn made_up_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    random(u64::from(now.subsec_nanos()), now.as_secs()).next_u64() >> 40
}

/// Runs until the time is over, adding to the report round by round; nothing that it started outlives the call.
///
/// # Panics
/// When a process of the stack does not start.
pub async fn run(config: &Config, seed: u64, report: &mut Report) {
    let stack = StackUnderTest::start(&config.pages(), config.nodes()).await;
    let (world, recorder) = (Arc::new(World::new(STEADY)), Arc::new(Recorder::default()));
    let urls = stack.source_urls.clone();
    let run = Run {
        config,
        seed,
        writer: Writer::new(urls, Arc::clone(&world), Arc::clone(&recorder)),
        reader: Reader::new(Arc::clone(&stack.runs)),
        stack,
        world,
        recorder,
        reading: Arc::default(),
        writing: Arc::default(),
    };
    run.go_on(report).await;
}

struct Run<'a> {
    config: &'a Config,
    seed: u64,
    stack: StackUnderTest,
    world: Arc<World>,
    recorder: Arc<Recorder>,
    writer: Writer,
    reader: Reader,
    /// Held for writing while nobody may read.
    reading: Arc<RwLock<()>>,
    /// Held for writing while nobody may write.
    writing: Arc<RwLock<()>>,
}

impl Run<'_> {
    async fn go_on(&self, report: &mut Report) {
        for source in Source::ALL {
            self.stack.note_birth(source, &self.recorder).await;
        }
        writers::settle(&self.writer).await;
        writers::create_fixtures(&self.writer, &mut random(self.seed, 0)).await;
        // They end when this is dropped.
        let mut tasks = self.start_readers_and_writers();
        self.stack.watch_births(&mut tasks, &self.recorder);
        let mut checker = Checker::default();
        let until = Instant::now() + Duration::from_secs_f64(self.config.minutes * 60.0);
        let mut round = self.config.first;
        loop {
            let schedule = Schedule::of(self.seed, round, &self.config.pace());
            report.begin(round, &schedule);
            let go_on = if round.is_multiple_of(2) {
                GO_ON
            } else {
                Duration::ZERO
            };
            let outcome = self.round(&schedule, go_on, &mut checker, report).await;
            report.end(round, &schedule, outcome);
            round += 1;
            let over = match self.config.rounds {
                Some(rounds) => round - self.config.first >= rounds,
                None => Instant::now() >= until,
            };
            if over {
                break;
            }
        }
        self.look_at_the_control_for_the_last_time(report).await;
    }

    fn start_readers_and_writers(&self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        writers::start(
            &mut tasks,
            &self.writer,
            &self.writing,
            self.seed,
            self.config.writes,
        );
        let readers = Readers {
            reader: self.reader.clone(),
            world: Arc::clone(&self.world),
            recorder: Arc::clone(&self.recorder),
            gate: Arc::clone(&self.reading),
            heeds_preferences: self.stack.keeps_pages,
        };
        for (replica, url) in &self.stack.replicas {
            readers.start(&mut tasks, *replica, url, self.seed, self.config.reads);
        }
        tasks
    }

    /// Faults and repairs; convergence, without writers; and when the readers have paused too, the checks.
    async fn round(
        &self,
        schedule: &Schedule,
        go_on: Duration,
        checker: &mut Checker,
        report: &mut Report,
    ) -> RoundReport {
        let injector = Injector {
            stack: &self.stack,
            recorder: &self.recorder,
            writer: &self.writer,
            world: &self.world,
        };
        injector.run(schedule).await;
        tokio::time::sleep(go_on).await;
        let quiet = self.writing.write().await;
        let inspector = Inspector::new(&self.stack, &self.world, &self.reader);
        let mut convergence = inspector.converge(self.config.converge_within()).await;
        let _silent = self.reading.write().await;
        for source in Source::ALL {
            self.stack.note_birth(source, &self.recorder).await;
        }

        let (round, failures) = self.recorder.take();
        let findings = checker.check(&round);
        if convergence.violations.is_empty() {
            checker.converged();
        }
        let mut violations = findings.violations;
        violations.append(&mut convergence.violations);
        violations.extend(inspector.durable(checker.oracle(), &round).await);
        violations.extend(self.stack.dead().await.into_iter().map(died));
        drop(quiet);
        for (response, lag) in round.responses.iter().zip(&findings.lags) {
            let tally = report.tally(response.replica.subject);
            tally.answered(response, lag);
            tally.preferred(response, &round.stalls);
        }
        for (replica, error) in &failures {
            report.tally(replica.subject).failed(error);
            if let (ReadError::Nonsense(what), Subject::Page) = (error, replica.subject) {
                violations.push(nonsense(*replica, what));
            }
        }
        report.exercised.add(&findings.exercised);
        report.attempts += round.attempts.len();
        let (responses, mutations) = (round.responses.len(), round.mutations.len());
        report.second_publishers(round.twins);
        RoundReport {
            responses,
            mutations,
            took: convergence.took,
            naive_wrong: convergence.naive_wrong,
            pages: convergence.pages,
            violations,
        }
    }

    /// What is wrong now stays so until the next event of that account, if there is one.
    async fn look_at_the_control_for_the_last_time(&self, report: &mut Report) {
        let _quiet = self.writing.write().await;
        tokio::time::sleep(AT_THE_END).await;
        let inspector = Inspector::new(&self.stack, &self.world, &self.reader);
        report.naive_wrong_at_the_end = inspector.naive_wrong().await;
    }
}

fn died(told: String) -> Violation {
    Violation {
        rule: Rule::Died,
        subject: Subject::Page,
        evidence: vec![told],
    }
}

fn nonsense(replica: crate::history::Replica, what: &str) -> Violation {
    Violation {
        rule: Rule::WrongContent,
        subject: replica.subject,
        evidence: vec![format!("{replica}: {what}")],
    }
}
