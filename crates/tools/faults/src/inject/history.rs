//! Faults by which a source's history is set back, or has two ends, or its dates come from the future.

use std::sync::Arc;
use std::time::Duration;

use stack::http::client;
use stack::sources::SourceClient;
use stack::{Moment, Process, Source, Window, random};
use tokio::time::{Instant, sleep};

use super::{Injector, pause};
use crate::history::{Birth, Origin};
use crate::recorder::Recorder;
use crate::schedule::{Action, Original, Place, Schedule, Stop};
use crate::world::World;
use crate::writers::Writer;

/// Nobody's acknowledgement is on its way for longer: what is acknowledged after it was written by the next process.
const AWAY: Duration = Duration::from_millis(300);
/// Between two writes to a second process.
const WRITE_AGAIN: Duration = Duration::from_millis(50);
/// Between two looks at whether a source publishes again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long a source is asked whether it publishes.
const ASKED_FOR: Duration = Duration::from_secs(10);
/// How long it may take until a source that runs publishes, or refuses to.
const DECIDES_WITHIN: Duration = Duration::from_secs(20);

impl Injector<'_> {
    /// All clocks are ahead, then right; then one source dies, so that what it said while it was ahead is all there is.
    pub(super) async fn set_clocks_back(&self, dies: Source, by: i64, lasts: Duration) {
        let begin = Instant::now();
        let steps = Source::ALL.map(|source| self.step_clock(source, by, lasts / 3));
        futures::future::join_all(steps).await;
        let written_to = (lasts / 2).saturating_sub(begin.elapsed()).max(AWAY);
        sleep(written_to).await;
        self.kill_source(dies, lasts / 2).await;
    }

    /// Everything that is acknowledged between the two stops is undone.
    pub(super) async fn restore_source(&self, source: Source, stop: Stop, lasts: Duration) {
        let mut process = self.stack.sources[source].lock().await;
        end(&mut process, stop).await;
        let copy = self
            .stack
            .copy_database(source, stop != Stop::TerminateAndLeaveOutTheLog);
        self.broken_for(Place::Source(source), AWAY).await;
        let copied_at = Moment::now();
        process.restart(|_| {}).await;
        let incarnation = self.stack.note_birth(source, self.recorder).await;
        sleep(lasts).await;
        end(&mut process, stop).await;
        self.stack.delete_database(source);
        self.stack.put_back(source, &copy);
        self.broken_for(Place::Source(source), AWAY).await;
        let from = Moment::now();
        process.restart(|_| {}).await;
        self.recorder.restored(Birth {
            source,
            incarnation,
            origin: Origin::Restored { copied_at },
            from,
            known_at: Moment::now(),
        });
    }

    /// Two processes that both take themselves for the source. Readers and writers know the first one's address alone.
    pub(super) async fn twin_source(&self, source: Source, original: Original, lasts: Duration) {
        let mut process = self.stack.sources[source].lock().await;
        let away = matches!(original, Original::ComesLater | Original::ComesRenewedAndCutOff);
        if away {
            process.kill().await;
        } else {
            // Between two writes of its files, as a backup of the disk catches it.
            pause(&process);
        }
        let copy = self.stack.copy_database(source, true);
        if !away {
            process.resume();
        }
        let twin = self.stack.start_twin(source, &copy).await;
        let recorder = Arc::new(Recorder::of_a_twin());
        tokio::select! {
            () = self.meanwhile(source, original, &mut process, lasts) => {}
            () = self.write_to(source, &twin.process, &recorder) => {}
        }
        drop(twin);
        self.recorder.second_publisher(&recorder);
    }

    async fn meanwhile(&self, source: Source, original: Original, process: &mut Process, lasts: Duration) {
        let place = Place::Source(source);
        match original {
            Original::GoesOn => sleep(lasts).await,
            Original::Restarts => {
                sleep(lasts / 2).await;
                process.kill().await;
                self.broken_for(place, Duration::ZERO).await;
                process.restart(|_| {}).await;
                sleep(lasts / 2).await;
            }
            Original::ComesLater => {
                self.broken_for(place, lasts / 2).await;
                process.restart(|_| {}).await;
                sleep(lasts / 2).await;
            }
            Original::StandsStill => {
                sleep(lasts / 4).await;
                pause(process);
                self.broken_for(place, lasts / 2).await;
                process.resume();
                sleep(lasts / 4).await;
            }
            Original::ComesRenewedAndCutOff => self.come_renewed(source, process, lasts).await,
        }
    }

    async fn come_renewed(&self, source: Source, process: &mut Process, lasts: Duration) {
        let place = Place::SourceToBroker(source);
        let link = &self.stack.links[&place];
        link.cut().await;
        self.broken_for(Place::Source(source), lasts / 4).await;
        let flag = "--renew-incarnation".to_owned();
        process.restart(|flags| flags.push(flag)).await;
        self.broken_for(place, lasts / 2).await;
        link.open();
        sleep(lasts / 4).await;
        // As the operator's decision says: once.
        process.kill().await;
        self.broken_for(Place::Source(source), Duration::ZERO).await;
        process.restart(|flags| flags.truncate(flags.len() - 1)).await;
    }

    /// Writes what nobody may ever be shown; never ends.
    async fn write_to(&self, source: Source, twin: &Process, recorder: &Arc<Recorder>) {
        let mut urls = self.stack.source_urls.clone();
        urls[source] = twin.url("");
        // Its own knowledge of ids and tokens: nobody is to read back what it acknowledges.
        let world = Arc::new(World::new(self.world.steady));
        let writer = Writer::new(urls, world, Arc::clone(recorder));
        let mut random = random(0, u64::from(twin.id()));
        loop {
            let account = self.world.steady_account(&mut random);
            let _ = writer.change(source, account, &mut random).await;
            sleep(WRITE_AGAIN).await;
        }
    }

    /// What an operator does when a source refuses to publish because there was another one, which has ended by now.
    pub(super) async fn bring_back_the_originals(&self, schedule: &Schedule) {
        let faults = schedule.faults.iter();
        let twins = faults.filter(|fault| matches!(fault.action, Action::Twin(_)));
        for place in twins.flat_map(|fault| &fault.places) {
            if let Place::Source(source) = place {
                self.bring_back(*source).await;
            }
        }
    }

    async fn bring_back(&self, source: Source) {
        let url = &self.stack.source_urls[source];
        let (http, sources) = (
            client(ASKED_FOR),
            SourceClient::new(self.stack.source_urls.clone()),
        );
        let until = Instant::now() + DECIDES_WITHIN;
        while Instant::now() < until {
            let ready = http.get(format!("{url}/readyz")).send().await;
            if ready.is_ok_and(|ready| ready.status() == 503) {
                self.recorder.replaced();
                self.kill_source(source, Duration::ZERO).await;
                return;
            }
            // It claims to publish, and has within the last second.
            let answer = sources.fragment(source, 1, Window::default()).await;
            if answer.is_ok_and(|answer| answer.claims) {
                return;
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

async fn end(process: &mut Process, stop: Stop) {
    match stop {
        Stop::Kill => process.kill().await,
        Stop::Terminate | Stop::TerminateAndLeaveOutTheLog => {
            process.terminate();
            let _ = process.ended().await;
        }
    }
}
