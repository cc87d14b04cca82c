//! A fault, done to the stack: broken, left so for a while, repaired.

mod cluster;
mod history;

use std::time::Duration;

use stack::{Link, Moment, Process, Source};
use tokio::time::{Instant, sleep, sleep_until};

use crate::history::{Outage, Replica};
use crate::recorder::Recorder;
use crate::schedule::{Action, Fault, Place, Schedule};
use crate::under_test::{NAIVE, StackUnderTest, page_replica};
use crate::world::World;
use crate::writers::{Writer, settle};

/// What is on its way through a link when it is broken may still get through: a chunk, by a task that runs.
const IN_TRANSIT: Duration = Duration::from_millis(5);

/// Whoever breaks things.
#[derive(Debug)]
pub struct Injector<'run> {
    /// What is broken.
    pub stack: &'run StackUnderTest,
    /// Where it is written down.
    pub recorder: &'run Recorder,
    /// Who fills a new database.
    pub writer: &'run Writer,
    /// What is in it.
    pub world: &'run World,
}

impl Injector<'_> {
    /// Does what the schedule says, and returns when everything is repaired and runs.
    pub async fn run(&self, schedule: &Schedule) {
        let begin = Instant::now();
        let faults = schedule.faults.iter().map(|fault| async move {
            sleep_until(begin + fault.at).await;
            self.inject(fault, schedule).await;
        });
        futures::future::join_all(faults).await;
        self.bring_back_the_control(schedule).await;
        self.bring_back_the_originals(schedule).await;
    }

    async fn inject(&self, fault: &Fault, schedule: &Schedule) {
        let lasts = fault.lasts;
        match (fault.action, fault.places[..].first()) {
            (Action::Kill, Some(Place::Source(source))) => self.kill_source(*source, lasts).await,
            (Action::KillAndWipe, Some(Place::Source(source))) => self.reset_source(*source, lasts).await,
            (Action::Pause, Some(Place::Source(source))) => self.pause_source(*source, lasts).await,
            (Action::StepClock(by), Some(Place::Source(source))) => {
                self.step_clock(*source, by, lasts).await;
            }
            (Action::SetClocksBack(by), Some(Place::Source(dies))) => {
                self.set_clocks_back(*dies, by, lasts).await;
            }
            (Action::Restore(stop), Some(Place::Source(source))) => {
                self.restore_source(*source, stop, lasts).await;
            }
            (Action::Twin(original), Some(Place::Source(source))) => {
                self.twin_source(*source, original, lasts).await;
            }
            (Action::Kill, Some(Place::Replica(replica))) => {
                self.kill_page(*replica, lasts, schedule).await;
            }
            (Action::Pause, Some(Place::Replica(replica))) => self.pause_page(*replica, lasts).await,
            (Action::Kill, Some(Place::Broker)) => self.kill_broker(lasts, false).await,
            (Action::KillAndWipe, Some(Place::Broker)) => self.kill_broker(lasts, true).await,
            (Action::Pause, Some(Place::Broker)) => self.pause_broker(lasts).await,
            (Action::KillLeader, _) => self.kill_leader(lasts).await,
            (Action::KillTwo, _) => self.lose_quorum(lasts).await,
            (Action::Roll, _) => self.roll_broker(lasts).await,
            (Action::Cut | Action::BlackHole { .. } | Action::Slow(_), _) => self.break_links(fault).await,
            (action, place) => unreachable!("nobody draws {action:?} of {place:?}"),
        }
    }

    async fn kill_source(&self, source: Source, lasts: Duration) {
        let mut process = self.stack.sources[source].lock().await;
        process.kill().await;
        self.broken_for(Place::Source(source), lasts).await;
        process.restart(|_| {}).await;
    }

    async fn reset_source(&self, source: Source, lasts: Duration) {
        // Nobody else creates accounts meanwhile: the first ids are the steady accounts'.
        let creating = match source {
            Source::Accounts => Some(self.world.nobody_creates().await),
            _ => None,
        };
        let mut process = self.stack.sources[source].lock().await;
        process.kill().await;
        self.stack.delete_database(source);
        self.recorder.deleted(source);
        self.broken_for(Place::Source(source), lasts).await;
        process.restart(|_| {}).await;
        self.stack.note_birth(source, self.recorder).await;
        match source {
            Source::Accounts => {
                self.world.accounts_reset();
                settle(self.writer).await;
            }
            Source::Endpoints => self.world.endpoints_reset(),
            Source::Metrics => {}
        }
        drop(creating);
    }

    async fn step_clock(&self, source: Source, by: i64, lasts: Duration) {
        let mut process = self.stack.sources[source].lock().await;
        process.kill().await;
        self.broken_for(Place::Source(source), Duration::ZERO).await;
        let flag = format!("--inject-clock-offset-ms={by}");
        process.restart(|flags| flags.push(flag)).await;
        sleep(lasts).await;
        process.kill().await;
        self.broken_for(Place::Source(source), Duration::ZERO).await;
        process.restart(|flags| flags.truncate(flags.len() - 1)).await;
    }

    async fn pause_source(&self, source: Source, lasts: Duration) {
        let process = self.stack.sources[source].lock().await;
        pause(&process);
        self.broken_for(Place::Source(source), lasts).await;
        process.resume();
    }

    async fn kill_page(&self, replica: usize, lasts: Duration, schedule: &Schedule) {
        let runs = &self.stack.runs;
        let mut page = self.stack.pages[replica].lock().await;
        runs.turn(page_replica(replica));
        page.kill().await;
        if replica == 0 {
            runs.turn(NAIVE);
            self.stack.naive.lock().await.kill().await;
        }
        sleep(lasts).await;
        start_page(&mut page, page_replica(replica), self.stack).await;
        if replica == 0 && !control_must_wait(schedule) {
            start_page(&mut *self.stack.naive.lock().await, NAIVE, self.stack).await;
        }
    }

    /// The control does not start without a broker: it waits for the end of a round in which that is broken too.
    async fn bring_back_the_control(&self, schedule: &Schedule) {
        let killed = schedule
            .faults
            .iter()
            .any(|fault| fault.action == Action::Kill && fault.places == [Place::Replica(0)]);
        if killed && control_must_wait(schedule) {
            start_page(&mut *self.stack.naive.lock().await, NAIVE, self.stack).await;
        }
    }

    async fn pause_page(&self, replica: usize, lasts: Duration) {
        let page = self.stack.pages[replica].lock().await;
        let naive = match replica {
            0 => Some(self.stack.naive.lock().await),
            _ => None,
        };
        let both = || [Some(&*page), naive.as_deref()].into_iter().flatten();
        both().for_each(pause);
        sleep(lasts).await;
        both().for_each(Process::resume);
    }

    async fn kill_broker(&self, lasts: Duration, wipe: bool) {
        let mut broker = self.stack.broker.lock().await;
        tokio::task::block_in_place(|| broker.kill());
        if wipe {
            broker.wipe();
        }
        self.broken_for(Place::Broker, lasts).await;
        tokio::task::block_in_place(|| broker.restart());
    }

    async fn pause_broker(&self, lasts: Duration) {
        let broker = self.stack.broker.lock().await;
        tokio::task::block_in_place(|| broker.pause());
        self.broken_for(Place::Broker, lasts).await;
        broker.resume();
    }

    async fn break_links(&self, fault: &Fault) {
        let links: Vec<&Link> = fault
            .places
            .iter()
            .map(|place| &self.stack.links[place])
            .collect();
        for link in &links {
            match fault.action {
                Action::Cut => link.cut().await,
                Action::BlackHole { .. } => link.black_hole(),
                Action::Slow(by) => link.slow(by),
                action => unreachable!("{action:?} is done to processes"),
            }
        }
        sleep(IN_TRANSIT).await;
        let from = Moment::now();
        sleep(fault.lasts).await;
        let until = Moment::now();
        for (place, link) in fault.places.iter().zip(&links) {
            if !matches!(fault.action, Action::Slow(_)) {
                self.recorder.broke(Outage {
                    place: *place,
                    from,
                    until,
                });
            }
            if matches!(fault.action, Action::BlackHole { reset: true }) {
                link.reset().await;
            }
            link.open();
        }
    }

    /// Leaves a place broken, and writes down for how long it certainly was.
    async fn broken_for(&self, place: Place, lasts: Duration) {
        let from = Moment::now();
        sleep(lasts).await;
        self.recorder.broke(Outage {
            place,
            from,
            until: Moment::now(),
        });
    }
}

fn control_must_wait(schedule: &Schedule) -> bool {
    let places = schedule.faults.iter().flat_map(|fault| &fault.places);
    let broker = [Place::Broker, Place::ReplicaToBroker(0)];
    places.into_iter().any(|place| broker.contains(place))
}

async fn start_page(process: &mut Process, replica: Replica, stack: &StackUnderTest) {
    process.restart(|_| {}).await;
    stack.runs.turn(replica);
}

fn pause(process: &Process) {
    tokio::task::block_in_place(|| process.pause());
}
