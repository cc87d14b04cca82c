//! The page as it is usually written, beside the replicas, and what these count meanwhile.

use serde_json::Value;

use crate::class::{Class, answer, asked_with, part, problem, trusts};

#[tokio::test]
async fn the_naive_page_runs_when_it_is_asked_to_and_a_lost_event_leaves_it_wrong() {
    const NAIVE: &str = "naive-page";
    let mut class = Class::begin().await;
    let down = |picture: &Value| part(picture, NAIVE)["state"] == "down";
    class.until("it does not run by itself", down).await;
    class
        .see("start?part=naive-page", |picture| {
            let answer = &part(picture, NAIVE)["answer"];
            answer["colour"] == "green" && answer["revisions"].as_array().unwrap().iter().all(Value::is_u64)
        })
        .await;
    assert_eq!(class.lab.children().len(), 8);
    let twice = problem(class.click("start?part=naive-page").await).await;
    assert_eq!(twice, (409, "naive-page is running".to_owned()));
    // Whatever is chosen, it goes its own way.
    class
        .see("strategy?name=none", |picture| {
            asked_with(picture, "none") && part(picture, NAIVE)["answer"]["cache_status"] == "page; hit"
        })
        .await;

    class
        .see("cut?part=page-2", |picture| {
            part(picture, NAIVE)["cut"] == true && !trusts(picture, "page-2")
        })
        .await;
    class
        .see("rename?name=cut-off", |picture| {
            answer(picture, NAIVE, "red")
                && answer(picture, "page", "green")
                && answer(picture, "page-2", "green")
        })
        .await;
    class.see("kill?part=naive-page", down).await;
    let cut_off = problem(class.click("start?part=naive-page").await).await;
    assert_eq!(cut_off.0, 409, "a start that must fail would end the lab");
    assert!(
        cut_off.1.contains("mend the link of page-2 first"),
        "{}",
        cut_off.1
    );
    class.see("mend?part=page-2", Class::is_at_rest).await;
    class.see("stop?part=nats", |_| true).await;
    let alone = problem(class.click("start?part=naive-page").await).await;
    assert_eq!(alone.0, 409);
    assert!(alone.1.contains("does not start without NATS"), "{}", alone.1);
    class.see("start?part=nats", Class::is_at_rest).await;

    class
        .see("start?part=naive-page", |picture| answer(picture, NAIVE, "green"))
        .await;
    class
        .see("undo-all", |picture| down(picture) && Class::is_at_rest(picture))
        .await;
    assert_eq!(class.lab.children().len(), 7);
    // It ends with the lab, as all others do.
    class.see("start?part=naive-page", |_| true).await;
    class.end().await;
}

#[tokio::test]
async fn the_naive_page_needs_no_second_replica() {
    let mut class = Class::begin_with(&["--replicas", "1"]).await;
    class
        .see("start?part=naive-page", |picture| {
            answer(picture, "naive-page", "green")
        })
        .await;
    class
        .see("rename?name=received", |picture| {
            let shown = &part(picture, "naive-page")["answer"];
            shown["name"] == "received" && shown["colour"] == "green"
        })
        .await;
    let (status, detail) = problem(class.click("cut?part=naive-page").await).await;
    assert_eq!(status, 422, "{detail}");
    class.end().await;
}

#[tokio::test]
async fn a_replica_counts_what_it_fenced_refreshed_and_read() {
    let mut class = Class::begin().await;
    let count = |picture: &Value, name: &str, count: &str| {
        let part = part(picture, name);
        let found = if count == "fenced" {
            &part["fenced"]
        } else {
            &part["worth"][count]
        };
        found.as_f64().unwrap_or_default()
    };
    class
        .see("strategy?name=prepopulate", |picture| {
            asked_with(picture, "prepopulate") && count(picture, "page", "reads") > 1.0
        })
        .await;
    class
        .see("rename?name=counted", |picture| {
            ["page", "page-2"]
                .iter()
                .all(|name| count(picture, name, "fenced") >= 1.0 && count(picture, name, "refreshes") >= 1.0)
        })
        .await;
    class.end().await;
}
