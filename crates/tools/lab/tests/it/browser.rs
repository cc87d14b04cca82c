//! The lab's page in a real browser, by mouse and by keyboard. Needs chromium and its driver.

use std::process::Stdio;
use std::time::Duration;

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use test_support::eventually;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::class::{ALLOWANCE, Class, SHOWN_WITHIN};
use crate::screens::OVERFLOW;

/// How an element is called in answers: <https://www.w3.org/TR/webdriver2/#elements>.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser without a window, gone when it is dropped.
pub(crate) struct Browser {
    driver: Child,
    http: Client,
    session: String,
}

impl Browser {
    /// Opens a page; none if this machine has no browser that can be driven.
    async fn open(url: &str) -> Option<Self> {
        let (driver, port) = drive().await?;
        let mut browser = Self {
            driver,
            http: Client::builder().no_proxy().build().expect("a client"),
            session: format!("http://127.0.0.1:{port}/session"),
        };
        let arguments = ["--headless=new", "--no-sandbox", "--hide-scrollbars"];
        let chrome = json!({"args": arguments});
        let wanted = json!({"goog:chromeOptions": chrome, "goog:loggingPrefs": {"browser": "ALL"}});
        let session = browser
            .post("", &json!({"capabilities": {"alwaysMatch": wanted}}))
            .await;
        let id = session["sessionId"].as_str().expect("a session has an id");
        browser.session = format!("{}/{id}", browser.session);
        browser.size(1280, 720).await;
        browser.post("/url", &json!({"url": url})).await;
        Some(browser)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self
            .http
            .post(format!("{}{path}", self.session))
            .json(body)
            .send()
            .await;
        let mut answer: Value = answer.expect("the driver answers").json().await.expect("JSON");
        let value = answer["value"].take();
        assert!(value.get("error").is_none(), "{path} {body}: {value:#}");
        value
    }

    /// What a script returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
            .await
    }

    pub(crate) async fn size(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics});
        self.post("/goog/cdp/execute", &command).await;
    }

    /// An element, as the driver names it.
    async fn element(&self, selector: &str) -> Value {
        self.post("/element", &json!({"using": "css selector", "value": selector}))
            .await
    }

    /// The path of an element.
    async fn find(&self, selector: &str) -> String {
        let found = self.element(selector).await;
        format!(
            "/element/{}",
            found[ELEMENT].as_str().expect("an element has an id")
        )
    }

    /// Moves the pointer to the middle of an element.
    pub(crate) async fn point_at(&self, selector: &str) {
        let origin = self.element(selector).await;
        let motion = json!({"type": "pointerMove", "duration": 0, "origin": origin, "x": 0, "y": 0});
        let actions = json!([{"type": "pointer", "id": "mouse", "actions": [motion]}]);
        self.post("/actions", &json!({"actions": actions})).await;
    }

    /// Clicks on an element. The driver aims first and clicks then: at what moved in between, it aims again.
    pub(crate) async fn click(&self, selector: &str) {
        let listen = format!(
            "window.hit = false;
             document.querySelector(`{selector}`).addEventListener('click', () => {{ window.hit = true }});"
        );
        for _ in 0..3 {
            self.run(&listen).await;
            let element = self.find(selector).await;
            self.post(&format!("{element}/click"), &json!({})).await;
            if self.run("return window.hit").await == true {
                return;
            }
        }
        panic!("{selector} moves too often to be clicked");
    }

    /// Where on the page an element begins, in pixels from the top.
    async fn top_of(&self, selector: &str) -> Value {
        let script =
            format!("return document.querySelector(`{selector}`).getBoundingClientRect().top + scrollY");
        self.run(&script).await
    }

    /// Types into an element; it is scrolled to and focused first.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        self.post(&format!("{element}/value"), &json!({"text": text}))
            .await;
    }

    /// Waits until the text of every such element contains something, as the control promises.
    pub(crate) async fn reads(&self, selector: &str, text: &str) {
        let script =
            format!("return [...document.querySelectorAll(`{selector}`)].map((one) => one.textContent)");
        eventually(SHOWN_WITHIN + ALLOWANCE, async || {
            let texts = self.run(&script).await;
            let all = texts.as_array().expect("a list");
            let shown = !all.is_empty()
                && all
                    .iter()
                    .all(|one| one.as_str().is_some_and(|one| one.contains(text)));
            if shown {
                Ok(())
            } else {
                let said = self
                    .run("return document.querySelector('#done')?.textContent")
                    .await;
                Err(format!(
                    "{selector} reads {texts}, not {text}; the page says {said}"
                ))
            }
        })
        .await;
    }

    pub(crate) async fn close(self) {
        let closed = self.http.delete(&self.session).send().await;
        assert!(closed.expect("the driver answers").status().is_success());
    }
}

/// A driver and its port; none if this machine has no driver.
async fn drive() -> Option<(Child, String)> {
    // It looks for a free port first and takes it then: where many do so, somebody may have been quicker.
    for _ in 0..5 {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").process_group(0).kill_on_drop(true);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().ok()?;
        let mut lines = BufReader::new(driver.stdout.take().expect("it is piped")).lines();
        while let Some(line) = lines.next_line().await.expect("it is text") {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return Some((driver, port.trim_end_matches('.').to_owned()));
            }
        }
    }
    panic!("chromedriver says no port");
}

impl Drop for Browser {
    /// The browser is the driver's child; a test that failed has not closed it.
    fn drop(&mut self) {
        if let Some(group) = self.driver.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

const COLOURS: &str = ".replica [data-field=colour]";
const NAIVE_COLOUR: &str = ".naive [data-field=colour]";

/// A lesson, and a browser that shows it.
pub(crate) async fn begin() -> Option<(Class, Browser)> {
    let class = Class::begin().await;
    let Some(browser) = Browser::open(&class.root).await else {
        eprintln!("no chromedriver here: the page goes untested in a browser");
        class.end().await;
        return None;
    };
    browser.reads(COLOURS, "true").await;
    Some((class, browser))
}

#[tokio::test]
async fn every_fault_is_a_click_away_and_so_is_its_end() {
    let Some((class, browser)) = begin().await else {
        return;
    };
    for (part, toggle, field, broken, whole) in [
        ("accounts", "pause", "state", "paused", "up"),
        ("metrics", "kill", "state", "down", "up"),
        ("endpoints", "slow", "injected", "300 ms injected", "no"),
        ("page-2", "cut", "feeds", "not trusted", "endpointstrusted"),
        ("page", "kill", "state", "down", "up"),
        ("nats", "stop", "state", "down", "up"),
    ] {
        let button = format!("[data-of={part}][data-toggle={toggle}]");
        let shown = format!("[data-part={part}] [data-field={field}]");
        let place = browser.top_of(&button).await;
        for effect in [broken, whole] {
            browser.click(&button).await;
            browser.reads(&shown, effect).await;
            // Who aims at it must not click beside it.
            let now = browser.top_of(&button).await;
            assert_eq!(now, place, "{part} is {effect}, and {toggle} where it was");
        }
    }
    browser.reads(COLOURS, "true").await;
    browser.click("[data-do=delete-stream]").await;
    browser.reads("#done", "the stream EVENTS is deleted").await;

    browser.click("[data-of=page][data-toggle=pause]").await;
    browser.click("[data-of=accounts][data-toggle=kill]").await;
    browser
        .reads("[data-part=accounts] [data-field=state]", "down")
        .await;
    browser.click("[data-do=undo-all]").await;
    browser.reads(".part:not(.naive) [data-field=state]", "up").await;
    browser.reads(COLOURS, "true").await;

    let log = browser.post("/se/log", &json!({"type": "browser"})).await;
    assert_eq!(log, json!([]), "the browser has nothing to complain about");
    browser.close().await;
    class.end().await;
}

#[tokio::test]
async fn the_keyboard_alone_writes_chooses_and_learns_the_commands() {
    const ENTER: &str = "\u{e007}";
    const HOME: &str = "\u{e011}";
    let Some((class, browser)) = begin().await else {
        return;
    };
    browser.type_into("#name", "<b>typed</b>").await;
    browser.type_into("button[data-do^=rename]", ENTER).await;
    browser.reads("[data-field=name]", "<b>typed</b>").await;
    browser.reads("#command", "curl -X PATCH http://127.0.0.1:").await;
    browser.reads(".ours", "account.updated").await;

    browser.type_into("#wait", "50").await;
    browser.reads("#done", "Prefer: wait-ms=50").await;
    browser
        .reads("#command", "curl -H 'Prefer: wait-ms=50' http://127.0.0.1:")
        .await;
    browser.type_into("#max-age", "5").await;
    browser.reads("#done", "Cache-Control: max-age=5").await;
    let accepts = "return picture.wait_ms === 50 && picture.max_age_s === 5";
    eventually(Duration::from_secs(5), async || {
        match browser.run(accepts).await {
            accepted if accepted == true => Ok(()),
            other => Err(other),
        }
    })
    .await;
    browser.type_into("#max-age", HOME).await;
    browser
        .reads("#done", "asked without Cache-Control: max-age")
        .await;

    browser.type_into("#strategy", "ttl").await;
    browser.reads("#done", "Cache-Strategy: ttl").await;
    browser.reads(COLOURS, "true").await;
    // The first read with it fills its cache.
    eventually(Duration::from_secs(5), async || {
        let fills = browser
            .run("return picture.parts.every((part) => part.layer !== 'edge' || part.answer.strategy === 'ttl')")
            .await;
        if fills == true {
            Ok(())
        } else {
            Err("not read with ttl yet")
        }
    })
    .await;
    browser.type_into("[data-do=add-endpoint]", ENTER).await;
    browser.reads(COLOURS, "stale, not marked").await;

    let silent = browser
        .run(
            "return [...document.querySelectorAll('main button, header button, select')].filter((control) => {
                document.querySelector('#command').textContent = '';
                control.focus();
                return !/^(curl|kill|for|[^ ]*loadtest --quick) /.test(document.querySelector('#command').textContent);
            }).map((control) => control.outerHTML)",
        )
        .await;
    assert_eq!(silent, json!([]), "every control says its command");
    browser.close().await;
    class.end().await;
}

#[tokio::test]
async fn the_naive_page_is_wrong_where_the_replicas_are_not() {
    let Some((class, browser)) = begin().await else {
        return;
    };
    let (state, what) = (".naive [data-field=state]", ".naive [data-field=what]");
    browser.reads(state, "not started").await;
    browser.reads(what, "start it, cut page-2").await;
    browser.click("[data-of=naive-page]").await;
    browser.reads(state, "up").await;
    browser.reads(COLOURS, "true").await;
    browser.reads(NAIVE_COLOUR, "true").await;
    let fenced = "[data-part=page] [data-field=fenced]";
    browser.reads(fenced, "0").await;

    browser.click("[data-of=page-2][data-toggle=cut]").await;
    browser
        .reads("#done", "page-2 is cut off from NATS, and naive-page with it")
        .await;
    browser
        .run(
            "window.rose = false; window.reds = [];
             const look = stream.onmessage;
             stream.onmessage = (message) => {
                 look(message);
                 rose ||= Boolean(document.querySelector('[data-part=page] [data-field=fenced].rose'));
                 for (const part of picture.parts) if (part.answer?.colour === 'red') reds.push(part.name);
             }",
        )
        .await;
    browser.click("button[data-do^=rename]").await;
    browser.reads(NAIVE_COLOUR, "stale, not marked").await;
    browser
        .reads(".naive [data-field=why]", "cut off from NATS")
        .await;
    browser
        .reads(".naive [data-field=cache_status]", "page; hit")
        .await;
    browser.reads(fenced, "1").await;
    browser.reads("#events .ours em", "read").await;
    let seen = browser.run("return [rose, [...new Set(reds)]]").await;
    assert_eq!(seen, json!([true, ["naive-page"]]), "a replica is never wrong");
    assert_eq!(browser.run(OVERFLOW).await, json!([0, 0]), "red fits, too");

    browser.click("[data-of=page-2][data-toggle=cut]").await;
    browser.reads("#done", "page-2 can reach NATS again").await;
    // The next event of the account reaches it, and it forgets the old page.
    eventually(SHOWN_WITHIN + ALLOWANCE, async || {
        browser.click("button[data-do^=rename]").await;
        let colour = browser.run("return picture.parts.at(-1).answer.colour").await;
        if colour == "green" { Ok(()) } else { Err(colour) }
    })
    .await;
    browser.click("[data-do=undo-all]").await;
    browser.reads(state, "not started").await;
    browser.close().await;
    class.end().await;
}
