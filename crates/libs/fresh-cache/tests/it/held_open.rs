//! A fill that is held open while the event passes: every order of mutation, event, second reader and fill.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use fresh_cache::{Answer, Clock as _, Demand, Moment, Outcome};
use futures::future::MaybeDone;

use crate::held_sources::{Pages, Step};
use crate::replica::{ACCOUNTS, PAGE, Reading, Rig, TICK, revision};

/// The steps of a fill between which something can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    BeforeTheRead,
    BeforeThePositionIsNoted,
    BeforeTheRequest,
    DuringTheRequest,
    AfterTheAnswer,
    AfterTheLanding,
}

const STAGES: [Stage; 6] = [
    Stage::BeforeTheRead,
    Stage::BeforeThePositionIsNoted,
    Stage::BeforeTheRequest,
    Stage::DuringTheRequest,
    Stage::AfterTheAnswer,
    Stage::AfterTheLanding,
];

/// When things happen in one run.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    /// Whether the page is resident, so that the fill is a revalidation.
    resident: bool,
    mutation: Stage,
    event: Stage,
    /// When the second reader arrives: not before the event.
    arrival: Stage,
}

/// One run: the first reader's fill is held at every stage, and things happen there.
struct Run {
    schedule: Schedule,
    rig: Rig,
    mutated: Option<Moment>,
    second: Option<Pin<Box<MaybeDone<Reading>>>>,
}

impl Run {
    /// What happens at this stage; without waiting, since one of them is in the middle of a render.
    fn pass(&mut self, stage: Stage) {
        let Schedule {
            mutation,
            event,
            arrival,
            ..
        } = self.schedule;
        self.rig.clock.advance(TICK);
        if stage == mutation {
            self.rig.world.mutate(ACCOUNTS, PAGE);
            self.mutated = Some(self.rig.clock.now());
        }
        if stage == event {
            self.rig.hearing.changed(ACCOUNTS, PAGE);
        }
        self.rig.clock.advance(TICK);
        // The feed never says more than it may: between the mutation and its event, no watermark.
        if stage < mutation || stage >= event {
            self.rig.hear_watermarks();
        }
        if stage == arrival {
            let mut second = Box::pin(futures::future::maybe_done(self.rig.reading(Demand::Any)));
            let _ = second.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            self.second = Some(second);
        }
    }

    /// An answer shows what was mutated before its date.
    fn assert_true(&self, answer: &Answer<Pages>) {
        let schedule = self.schedule;
        let mutated = self.mutated.expect("the run is over");
        assert!(
            answer.fresh_as_of <= self.rig.clock.now(),
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
    let mut rig = Rig::new();
    if schedule.resident {
        rig.read().await;
        rig.hearing.changed(ACCOUNTS, PAGE); // a repeat of an old event
        rig.live(TICK);
    }
    let world = Arc::clone(&rig.world);
    let stops = [Step::Admit, Step::Ask, Step::Answer].map(|step| world.stop(ACCOUNTS, step));
    for stop in stops {
        stop.hold();
    }
    let first = rig.reading(Demand::Any);
    let run = Arc::new(Mutex::new(Run {
        schedule,
        rig,
        mutated: None,
        second: None,
    }));

    run.lock().unwrap().pass(Stage::BeforeTheRead);
    let first = tokio::spawn(first);
    for (stop, stage) in stops.iter().zip(&STAGES[1..]) {
        stop.arrived().await;
        run.lock().unwrap().pass(*stage);
        if *stage == Stage::DuringTheRequest {
            let rendering = Arc::clone(&run);
            world.on_next_render(move || rendering.lock().unwrap().pass(Stage::AfterTheAnswer));
        }
        stop.release();
    }
    let first = first.await.unwrap();
    world.unless_rendered(); // a page that was found to be the same is not rendered again
    run.lock().unwrap().pass(Stage::AfterTheLanding);

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
        "{schedule:?}: a reader after the event got the old flight"
    );
    let third = run.rig.read().await;
    run.assert_true(&third);
    assert_eq!(
        revision(&third, ACCOUNTS),
        Some(2),
        "{schedule:?}: the event left an old page behind"
    );
    run.rig.live(TICK);
    let fourth = run.rig.read().await;
    assert_eq!(
        fourth.outcome,
        Outcome::Hit,
        "{schedule:?}: the page never settles"
    );
    assert_eq!(
        (revision(&fourth, ACCOUNTS), fourth.fresh_as_of),
        (Some(2), run.rig.clock.now())
    );
}

#[tokio::test]
async fn a_fill_held_open_while_the_event_passes_leaves_no_old_page_behind() {
    let mut runs = 0;
    for resident in [false, true] {
        for mutation in STAGES {
            for event in STAGES.into_iter().filter(|&event| event >= mutation) {
                for arrival in STAGES.into_iter().filter(|&arrival| arrival >= event) {
                    run(Schedule {
                        resident,
                        mutation,
                        event,
                        arrival,
                    })
                    .await;
                    runs += 1;
                }
            }
        }
    }
    assert_eq!(runs, 112, "every order of the steps");
}
