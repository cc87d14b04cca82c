//! Looks at the stack while somebody looks at the lab, and only then.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::flow::Flow;
use super::picture::{Picture, Seen};
use super::scrape::Scrape;
use super::side_by_side::SideBySide;
use super::stage::Stage;
use stack::http::client;
use stack::ports::url;
use stack::supervisor::{Layer, State};

/// How often a picture is sent.
const EVERY: Duration = Duration::from_millis(250);

/// How long a service may take to tell them; a paused one never does.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// How often a service is asked for its numbers.
const SCRAPE_EVERY: Duration = Duration::from_millis(500);

/// Those who look, each with a stream of pictures.
#[derive(Debug)]
pub(super) struct Audience {
    pictures: watch::Sender<Arc<str>>,
    came: Notify,
}

impl Default for Audience {
    fn default() -> Self {
        Self {
            pictures: watch::Sender::new(Arc::from("")),
            came: Notify::new(),
        }
    }
}

impl Audience {
    /// Joins those who look.
    pub(super) fn look(&self) -> watch::Receiver<Arc<str>> {
        let pictures = self.pictures.subscribe();
        self.came.notify_one();
        pictures
    }
}

/// Sends pictures whenever there is somebody to see them.
pub(super) async fn perform(stage: Arc<Stage>, audience: Arc<Audience>) -> Infallible {
    loop {
        audience.came.notified().await;
        let eyes = Eyes::open(&stage);
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while audience.pictures.receiver_count() > 0 {
            ticks.tick().await;
            let picture = Picture::of(&stage, eyes.seen());
            let text = serde_json::to_string(&picture).expect("a picture is plain strings and numbers");
            audience.pictures.send_replace(text.into());
        }
    }
}

/// All that looks at the stack; it stops when this is dropped.
struct Eyes {
    scrapes: Arc<Mutex<HashMap<String, Scrape>>>,
    side_by_side: SideBySide,
    flow: Flow,
    _tasks: JoinSet<()>,
}

impl Eyes {
    fn open(stage: &Arc<Stage>) -> Self {
        let http = client(ANSWERS_WITHIN);
        let scrapes = Arc::default();
        let side_by_side = SideBySide::default();
        let flow = Flow::default();
        let mut tasks = JoinSet::new();
        for part in stage
            .parts
            .iter()
            .filter(|part| part.program.layer != Layer::Broker)
        {
            let name = part.program.name.clone();
            let (http, scrapes) = (http.clone(), Arc::clone(&scrapes));
            tasks.spawn(scrape(Arc::clone(stage), http, name, url(part.port), scrapes));
        }
        tasks.spawn(side_by_side.clone().run(Arc::clone(stage)));
        tasks.spawn(flow.clone().listen(stage.stack.nats_url()));
        Self {
            scrapes,
            side_by_side,
            flow,
            _tasks: tasks,
        }
    }

    fn seen(&self) -> Seen {
        Seen {
            scrapes: self
                .scrapes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            answers: self.side_by_side.answers(),
            events: self.flow.events(),
            broker_answers: self.flow.connected(),
        }
    }
}

async fn scrape(
    stage: Arc<Stage>,
    http: Client,
    name: String,
    url: String,
    scrapes: Arc<Mutex<HashMap<String, Scrape>>>,
) {
    let began = Instant::now();
    let mut ticks = interval(SCRAPE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut scrape = match stage.processes.state(&name) {
            State::Running => Scrape::of(&http, &url).await,
            State::Down | State::Paused => Scrape::default(),
        };
        scrape.at_ms = u64::try_from(began.elapsed().as_millis()).ok();
        let mut scrapes = scrapes.lock().unwrap_or_else(PoisonError::into_inner);
        scrapes.insert(name.clone(), scrape);
    }
}
