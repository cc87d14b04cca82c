//! A lab that somebody looks at: the stream of pictures, the controls, and what the pictures say.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{Client, Method, Response};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout_at};

use crate::up::{Lab, gone};

/// How soon the picture must show what a control did.
pub(crate) const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// A test machine is busy with other tests; what is measured here are seconds of waiting, not of work.
pub(crate) const ALLOWANCE: Duration = Duration::from_secs(3);

/// A running lab with somebody who looks at it.
pub(crate) struct Class {
    pub(crate) lab: Lab,
    pub(crate) pictures: Pictures,
    pub(crate) root: String,
    /// Vanishes with the class.
    pub(crate) data: TempDir,
}

impl Class {
    /// Starts a lab and waits until its replicas are seen to be true.
    pub(crate) async fn begin() -> Self {
        Self::begin_with(&[]).await
    }

    pub(crate) async fn begin_with(more: &[&str]) -> Self {
        no_half_hour().await;
        let data = TempDir::new().expect("there is room for a folder");
        let mut lab = Lab::start(data.path(), &[&["--replay-speed", "0"], more].concat());
        lab.says("no replay").await;
        let root = lab.address("lab");
        let pictures = Pictures::look(&root).await;
        let mut class = Self {
            lab,
            pictures,
            root,
            data,
        };
        class.until("everything is true", Class::is_at_rest).await;
        class
    }

    pub(crate) fn is_at_rest(picture: &Value) -> bool {
        let runs = |part: &Value| part["state"] == "running" && part["answers"] == true;
        let mut parts = parts(picture).filter(|part| part["layer"] != "naive");
        let mut replicas = self::parts(picture).filter(|part| part["layer"] == "edge");
        parts.all(runs) && replicas.all(|part| part["answer"]["colour"] == "green")
    }

    pub(crate) async fn click(&self, control: &str) -> Response {
        request(Method::POST, &format!("{}/do/{control}", self.root)).await
    }

    /// Clicks, and waits for the effect.
    pub(crate) async fn see(&mut self, control: &str, effect: impl Fn(&Value) -> bool) {
        let answer = self.click(control).await;
        assert!(
            answer.status().is_success(),
            "{control}: {}",
            answer.text().await.expect("it says why")
        );
        self.until(control, effect).await;
    }

    pub(crate) async fn until(&mut self, what: &str, seen: impl Fn(&Value) -> bool) {
        self.pictures.until(what, SHOWN_WITHIN + ALLOWANCE, seen).await;
    }

    pub(crate) async fn end(self) {
        drop(self.pictures);
        let children = self.lab.children();
        self.lab.signal(Signal::INT);
        let (code, stderr) = self.lab.ended().await;
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        gone(&children).await;
    }
}

/// Waits for a half hour that is near to be over: the windows of metrics turn then, and every page that was composed
/// before expires, also one that a test wants to see stale.
async fn no_half_hour() {
    const HALF_HOUR: u64 = 1_800;
    const LONGEST_LESSON: u64 = 30;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let left = HALF_HOUR - now.expect("the clock is right").as_secs() % HALF_HOUR;
    if left < LONGEST_LESSON {
        sleep(Duration::from_secs(left)).await;
    }
}

/// The stream of pictures.
pub(crate) struct Pictures {
    stream: Response,
    text: String,
}

impl Pictures {
    pub(crate) async fn look(root: &str) -> Self {
        let stream = request(Method::GET, &format!("{root}/events")).await;
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        Self {
            stream,
            text: String::new(),
        }
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Some((event, rest)) = cut(&self.text) {
                let picture = event
                    .strip_prefix("data: ")
                    .map(|data| serde_json::from_str(data).expect("a picture is JSON"));
                self.text = rest;
                if let Some(picture) = picture {
                    return picture;
                }
                continue;
            }
            let chunk = self
                .stream
                .chunk()
                .await
                .expect("the stream is not broken off")
                .expect("the lab goes on sending");
            self.text
                .push_str(std::str::from_utf8(&chunk).expect("a chunk is a whole event"));
        }
    }

    pub(crate) async fn until(&mut self, what: &str, limit: Duration, seen: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + limit;
        let mut last = Value::Null;
        loop {
            let Ok(picture) = timeout_at(deadline, self.next()).await else {
                panic!("never seen: {what}; the last picture is {last:#}");
            };
            if seen(&picture) {
                return;
            }
            last = picture;
        }
    }
}

/// The first event of a stream, and the rest.
fn cut(text: &str) -> Option<(String, String)> {
    let (event, rest) = text.split_once("\n\n")?;
    Some((event.to_owned(), rest.to_owned()))
}

pub(crate) async fn request(method: Method, url: &str) -> Response {
    let client = Client::builder().no_proxy().build().expect("a client");
    client.request(method, url).send().await.expect("the lab answers")
}

fn parts(picture: &Value) -> impl Iterator<Item = &Value> {
    picture["parts"].as_array().expect("a list").iter()
}

pub(crate) fn part<'picture>(picture: &'picture Value, name: &str) -> &'picture Value {
    parts(picture)
        .find(|part| part["name"] == name)
        .expect("the part is in the picture")
}

/// Whether a replica's last answer has a colour.
pub(crate) fn answer(picture: &Value, name: &str, colour: &str) -> bool {
    part(picture, name)["answer"]["colour"] == colour
}

/// Whether both replicas' last answers were asked for with a strategy.
pub(crate) fn asked_with(picture: &Value, strategy: &str) -> bool {
    ["page", "page-2"]
        .iter()
        .all(|name| part(picture, name)["answer"]["strategy"] == strategy)
}

/// Whether a replica trusts all sources.
pub(crate) fn trusts(picture: &Value, name: &str) -> bool {
    let feeds = part(picture, name)["feeds"].as_array().expect("a list");
    feeds.len() == 3 && feeds.iter().all(|feed| feed["trusted"] == true)
}

pub(crate) async fn problem(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await.expect("a problem is JSON");
    assert_eq!(problem["status"], status);
    (status, problem["detail"].as_str().unwrap_or_default().to_owned())
}
