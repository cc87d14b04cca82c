//! The lab's page as a browser uses it: the real stack, the stream of pictures, the controls.

use std::cell::Cell;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use reqwest::{Client, Method};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::time::timeout;

use crate::class::{
    ALLOWANCE, Class, Pictures, SHOWN_WITHIN, answer, asked_with, part, problem, request, trusts,
};
use crate::up::gone;

#[tokio::test]
async fn strangers_are_refused_and_so_is_what_makes_no_sense() {
    let class = Class::begin().await;
    let page = request(Method::GET, &class.root).await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(page.text().await.unwrap().starts_with("<!DOCTYPE html>"));

    let client = Client::builder().no_proxy().build().unwrap();
    let rebound = client
        .get(&class.root)
        .header("host", "evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(problem(rebound).await.0, 421);
    for (path, status) in [
        ("/nowhere", 404),
        ("/do/kill?part=metrics", 405),
        ("/do/%ff", 405),
    ] {
        let asked = |accept| {
            client
                .get(format!("{}{path}", class.root))
                .header("accept", accept)
                .send()
        };
        let page = asked("text/html,*/*;q=0.8").await.unwrap();
        assert_eq!(page.status(), status, "{path}");
        assert_eq!(
            page.headers()["content-type"],
            "text/html; charset=utf-8",
            "{path}"
        );
        assert!(
            page.text().await.unwrap().starts_with("<!DOCTYPE html>"),
            "{path}"
        );
        assert_eq!(problem(asked("*/*").await.unwrap()).await.0, status, "{path}");
    }
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let url = format!("{}/do/kill?part=metrics", class.root);
        let forged = client.post(url).header("origin", origin).send().await.unwrap();
        assert_eq!(problem(forged).await.0, 403, "{origin}");
    }
    let own = client
        .post(format!("{}/do/rename", class.root))
        .header("origin", &class.root);
    assert_eq!(own.send().await.unwrap().status(), 200);

    for (control, status, said) in [
        ("explode", 404, "there is no control called explode"),
        ("kill", 400, "kill wants ?part="),
        ("kill?part=lab", 422, "there is no part called lab"),
        ("kill?part=page&force=1", 400, "unknown field"),
        ("slow?part=metrics&ms=99999", 422, "at most 9000 ms"),
        ("slow?part=page&ms=1", 422, "only sources"),
        ("cut?part=page", 422, "only page-2"),
        ("kill?part=naive-page", 409, "naive-page does not run"),
        ("strategy?name=hope", 422, "there is no strategy called hope"),
        ("start?part=page", 409, "page is running"),
        ("resume?part=page", 409, "page is running"),
        ("watch?id=999", 422, "accounts answered 404"),
        ("rename?name=%07", 422, "name: "),
    ] {
        let (answered, detail) = problem(class.click(control).await).await;
        assert_eq!(answered, status, "{control}: {detail}");
        assert!(detail.contains(said), "{control}: {detail}");
    }
    let read = request(Method::GET, &format!("{}/do/kill?part=page", class.root)).await;
    assert_eq!(problem(read).await.0, 405);
    class.end().await;
}

#[tokio::test]
async fn what_is_written_flows_by_and_shows_on_both_replicas() {
    let mut class = Class::begin().await;
    let named = |picture: &Value, name: &str| part(picture, name)["answer"]["name"] == "mine";
    class
        .see("rename?name=mine", |picture| {
            let event = &picture["events"][0];
            event["kind"] == "account.updated"
                && event["trace_id"].as_str().is_some_and(|id| id.len() == 32)
                && named(picture, "page")
                && named(picture, "page-2")
                && Class::is_at_rest(picture)
        })
        .await;
    class
        .see("add-endpoint", |picture| {
            part(picture, "page-2")["answer"]["revisions"][1] == 15 && Class::is_at_rest(picture)
        })
        .await;
    class
        .see("burst", |picture| {
            let events = picture["events"].as_array().unwrap();
            let recorded = events.iter().filter(|event| event["kind"] == "samples.recorded");
            recorded.count() == 20 && Class::is_at_rest(picture)
        })
        .await;
    class
        .see("watch?id=5", |picture| {
            part(picture, "page")["answer"]["name"] == "joanmarcriera/upptime" && Class::is_at_rest(picture)
        })
        .await;
    class.end().await;
}

#[tokio::test]
async fn sources_are_paused_killed_and_slowed_down_and_all_of_it_is_undone() {
    let mut class = Class::begin().await;
    let state = |state: &'static str| move |picture: &Value| part(picture, "metrics")["state"] == state;
    class.see("pause?part=metrics", state("paused")).await;
    // Once it is not trusted any more, the pages say that its part is old.
    let marked = |picture: &Value| answer(picture, "page", "amber") && answer(picture, "page-2", "amber");
    class.until("both say that metrics is stale", marked).await;
    class.see("resume?part=metrics", Class::is_at_rest).await;

    class.see("kill?part=metrics", state("down")).await;
    class.until("both say that metrics is gone", marked).await;
    // What starts in vain would end the lab.
    let port = class
        .lab
        .address("metrics")
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (status, why) = problem(class.click("start?part=metrics").await).await;
    assert!(
        status == 409 && why.contains("is taken by process"),
        "{status} {why}"
    );
    drop(taken);
    class.see("start?part=metrics", Class::is_at_rest).await;

    class
        .see("slow?part=accounts&ms=300", |picture| {
            part(picture, "accounts")["injected_ms"] == 300 && Class::is_at_rest(picture)
        })
        .await;
    // The changed part has to be asked for, which now takes its time; with `none` every read does.
    class
        .see("strategy?name=none", |picture| {
            part(picture, "page")["answer"]["took_ms"]
                .as_f64()
                .is_some_and(|took| took >= 300.0)
        })
        .await;

    class.click("pause?part=endpoints").await;
    class.click("kill?part=page-2").await;
    // From a terminal, as the lab's page says that it can be done.
    let metrics = Cell::new(None);
    class
        .until("metrics has a number", |picture| {
            metrics.set(part(picture, "metrics")["process_id"].as_i64());
            metrics.get().is_some()
        })
        .await;
    let metrics = metrics.get().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    kill_process_group(metrics.expect("it is a process"), Signal::STOP).expect("it runs");
    class
        .until("metrics is silent", |picture| {
            part(picture, "metrics")["answers"] == false
        })
        .await;
    class
        .see("undo-all", |picture| {
            part(picture, "accounts")["injected_ms"].is_null()
                && picture["strategy"] == "invalidate"
                && Class::is_at_rest(picture)
        })
        .await;
    class.end().await;
}

#[tokio::test]
async fn the_broker_is_stopped_its_stream_deleted_and_one_replica_cut_off() {
    let mut class = Class::begin().await;
    class
        .see("cut?part=page-2", |picture| {
            part(picture, "page-2")["cut"] == true && trusts(picture, "page") && !trusts(picture, "page-2")
        })
        .await;
    // It asks the sources now, and so is as true as the other.
    class
        .see("rename?name=cut-off", |picture| {
            let answer = &part(picture, "page-2")["answer"];
            answer["name"] == "cut-off" && answer["colour"] == "green"
        })
        .await;
    class
        .see("mend?part=page-2", |picture| {
            part(picture, "page-2")["cut"] == false && trusts(picture, "page-2") && Class::is_at_rest(picture)
        })
        .await;

    class
        .see("stop?part=nats", |picture| {
            part(picture, "nats")["state"] == "down" && !trusts(picture, "page") && !trusts(picture, "page-2")
        })
        .await;
    class
        .see("rename?name=unpublished", |picture| {
            part(picture, "accounts")["pending"] == 1.0 && answer(picture, "page", "green")
        })
        .await;
    class
        .see("start?part=nats", |picture| {
            part(picture, "accounts")["pending"] == 0.0
                && trusts(picture, "page-2")
                && Class::is_at_rest(picture)
        })
        .await;

    class.see("delete-stream", |_| true).await;
    class
        .see("rename?name=after", |picture| {
            let event = &picture["events"][0];
            event["kind"] == "account.updated" && trusts(picture, "page") && Class::is_at_rest(picture)
        })
        .await;
    class.end().await;
}

#[tokio::test]
async fn a_ttl_is_seen_to_show_old_pages_unmarked_and_events_are_not() {
    let mut class = Class::begin().await;
    class
        .see("strategy?name=ttl", |picture| {
            asked_with(picture, "ttl") && Class::is_at_rest(picture)
        })
        .await;
    class
        .see("rename?name=fresh", |picture| {
            answer(picture, "page", "red") && answer(picture, "page-2", "red")
        })
        .await;
    class
        .see("strategy?name=prepopulate", |picture| {
            asked_with(picture, "prepopulate") && Class::is_at_rest(picture)
        })
        .await;
    class.end().await;
}

#[tokio::test]
async fn nobody_is_asked_while_nobody_looks() {
    let class = Class::begin().await;
    let page = class.lab.address("page");
    let answered = async || {
        let metrics = request(Method::GET, &format!("{page}/metrics"))
            .await
            .text()
            .await
            .unwrap();
        let answers = metrics
            .lines()
            .filter(|line| line.starts_with("page_answers_total{"));
        let counts = answers.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        counts.sum::<f64>()
    };
    let Class {
        lab,
        pictures,
        root,
        data,
    } = class;
    assert!(answered().await > 0.0);
    drop(pictures);
    // Three rounds of reading fit into what is waited; the first may still find the closed stream open.
    let span = Duration::from_millis(1600);
    test_support::eventually(Duration::from_secs(10), async || {
        let before = answered().await;
        let _ = timeout(span, std::future::pending::<()>()).await;
        let read = answered().await - before;
        if read == 0.0 {
            Ok(())
        } else {
            Err(format!("{read} reads though nobody looks"))
        }
    })
    .await;
    // Whoever comes back is shown everything.
    let mut pictures = Pictures::look(&root).await;
    pictures
        .until(
            "the stack is seen again",
            SHOWN_WITHIN + ALLOWANCE,
            Class::is_at_rest,
        )
        .await;
    Class {
        lab,
        pictures,
        root,
        data,
    }
    .end()
    .await;
}

#[tokio::test]
async fn a_stack_that_was_broken_on_purpose_ends_without_a_trace() {
    let class = Class::begin().await;
    for control in [
        "pause?part=nats",
        "pause?part=metrics",
        "kill?part=page",
        "cut?part=page-2",
    ] {
        assert!(class.click(control).await.status().is_success(), "{control}");
    }
    class.end().await;

    // In the middle of a restart: nothing is started any more once the end has begun.
    let class = Class::begin().await;
    let root = class.root.clone();
    let restart = tokio::spawn(async move {
        let url = format!("{root}/do/slow?part=metrics&ms=100");
        let _ = Client::new().post(url).send().await;
    });
    tokio::task::yield_now().await;
    class.end().await;
    restart.abort();

    // A lab that is killed outright cannot undo anything: the kernel ends even what stands still.
    let class = Class::begin().await;
    assert!(class.click("pause?part=metrics").await.status().is_success());
    let children = class.lab.children();
    class.lab.signal(Signal::KILL);
    class.lab.ended().await;
    gone(&children).await;
}
