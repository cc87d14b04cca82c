//! A fill that is held open while the event passes: every order of mutation, event, second reader and fill.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use fresh_cache::{Answer, Clock as _, Consistency, Moment, Outcome};
use futures::future::MaybeDone;

use crate::held_sources::{Pages, Step};
use crate::replica::{ACCOUNTS, PAGE, Reading, Replica, TICK, revision};

/// The steps of a fill between which something can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    BeforeTheRead,
    BeforeThePositionIsNoted,
    BeforeTheRequest,
    DuringTheRequest,
    AfterTheAnswer,
    AfterTheLoad,
}

const STAGES: [Stage; 6] = [
    Stage::BeforeTheRead,
    Stage::BeforeThePositionIsNoted,
    Stage::BeforeTheRequest,
    Stage::DuringTheRequest,
    Stage::AfterTheAnswer,
    Stage::AfterTheLoad,
];

/// When things happen in one run.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    /// Whether the page is resident, so that the fill is a revalidation.
    resident: bool,
    mutation: Stage,
    event: Stage,
    /// When the second reader arrives: not before the event.
    result: Stage,
}

/// One run: the first reader's fill is held at every stage, and things happen there.
struct Run {
    schedule: Schedule,
    replica: Replica,
    mutated: Option<Moment>,
    second: Option<Pin<Box<MaybeDone<Reading>>>>,
}

impl Run {
    /// What happens at this stage; without waiting, since one of them is in the middle of a render.
    fn pass(&mut self, stage: Stage) {
        let Schedule {
            mutation,
            event,
            result,
            ..
        } = self.schedule;
        self.replica.clock.advance(TICK);
        if stage == mutation {
            self.replica.sources.mutate(ACCOUNTS, PAGE);
            self.mutated = Some(self.replica.clock.now());
        }
        if stage == event {
            self.replica.writer.changed(ACCOUNTS, &PAGE);
        }
        self.replica.clock.advance(TICK);
        // The feed never says more than it may: between the mutation and its event, no watermark.
        if stage < mutation || stage >= event {
            self.replica.apply_watermarks();
        }
        if stage == result {
            let mut second = Box::pin(futures::future::maybe_done(
                self.replica.reading(Consistency::MinimizeLatency),
            ));
            let _ = second.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            self.second = Some(second);
        }
    }

    /// An answer shows what was mutated before its date.
    fn assert_true(&self, answer: &Answer<Pages>) {
        let schedule = self.schedule;
        let mutated = self.mutated.expect("the run is over");
        assert!(
            answer.fresh_as_of <= self.replica.clock.now(),
            "{schedule:?}: a date in the future"
        );
        if revision(answer, ACCOUNTS) == Some(1) {
            assert!(
                answer.fresh_as_of <= mutated,
                "{schedule:?}: shows revision 1, and says it is newer"
            );
        }
    }
}

async fn run(schedule: Schedule) {
    let mut replica = Replica::new();
    if schedule.resident {
        replica.read().await;
        replica.writer.changed(ACCOUNTS, &PAGE); // a repeat of an old event
        replica.live(TICK);
    }
    let sources = Arc::clone(&replica.sources);
    let stops = [Step::Admit, Step::Ask, Step::Answer].map(|step| sources.stop(ACCOUNTS, step));
    for stop in stops {
        stop.hold();
    }
    let first = replica.reading(Consistency::MinimizeLatency);
    let run = Arc::new(Mutex::new(Run {
        schedule,
        replica,
        mutated: None,
        second: None,
    }));

    run.lock().unwrap().pass(Stage::BeforeTheRead);
    let first = tokio::spawn(first);
    for (stop, stage) in stops.iter().zip(&STAGES[1..]) {
        stop.arrived().await;
        run.lock().unwrap().pass(*stage);
        if *stage == Stage::DuringTheRequest {
            let composing = Arc::clone(&run);
            sources.on_next_compose(move || composing.lock().unwrap().pass(Stage::AfterTheAnswer));
        }
        stop.release();
    }
    let first = first.await.unwrap();
    sources.unless_composed(); // a page that was found to be the same is not composed again
    run.lock().unwrap().pass(Stage::AfterTheLoad);

    let mut second = run
        .lock()
        .unwrap()
        .second
        .take()
        .expect("the second reader arrived at some stage");
    second.as_mut().await;
    let second = second.as_mut().take_output().expect("it was awaited");
    let mut run = Arc::into_inner(run)
        .expect("nobody else has it")
        .into_inner()
        .unwrap();
    for answer in [&first, &second] {
        run.assert_true(answer);
    }
    assert_eq!(
        revision(&second, ACCOUNTS),
        Some(2),
        "{schedule:?}: a reader after the event got the old load"
    );
    let third = run.replica.read().await;
    run.assert_true(&third);
    assert_eq!(
        revision(&third, ACCOUNTS),
        Some(2),
        "{schedule:?}: the event left an old page behind"
    );
    run.replica.live(TICK);
    let fourth = run.replica.read().await;
    assert_eq!(
        fourth.outcome,
        Outcome::Hit,
        "{schedule:?}: the page never settles"
    );
    assert_eq!(
        (revision(&fourth, ACCOUNTS), fourth.fresh_as_of),
        (Some(2), run.replica.clock.now())
    );
}

#[tokio::test]
async fn a_fill_held_open_while_the_event_passes_leaves_no_old_page_behind() {
    let mut runs = 0;
    for resident in [false, true] {
        for mutation in STAGES {
            for event in STAGES.into_iter().filter(|&event| event >= mutation) {
                for result in STAGES.into_iter().filter(|&result| result >= event) {
                    run(Schedule {
                        resident,
                        mutation,
                        event,
                        result,
                    })
                    .await;
                    runs += 1;
                }
            }
        }
    }
    assert_eq!(runs, 112, "every order of the steps");
}
