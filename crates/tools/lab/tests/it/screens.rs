//! What the lab shows, and what it links, on screens of any width and on paper.

use serde_json::json;
use test_support::eventually;

use crate::browser::begin;
use crate::class::ALLOWANCE;

/// By how much the page is larger than the screen.
pub(crate) const OVERFLOW: &str = "const page = document.documentElement;
    return [page.scrollWidth - innerWidth, page.scrollHeight - innerHeight].map((over) => Math.max(0, over))";

#[tokio::test]
async fn the_picture_fits_a_projector_and_half_a_screen() {
    let Some((class, browser)) = begin().await else {
        return;
    };
    assert_eq!(browser.run(OVERFLOW).await, json!([0, 0]), "at 1280 by 720");
    browser.size(720, 720).await;
    assert_eq!(
        browser.run(OVERFLOW).await[0],
        0,
        "at 720 nothing is beside the screen"
    );
    // The narrowest screen that must do without scrolling in two directions (WCAG 2.2, 1.4.10), with numbers in the charts.
    browser.size(320, 720).await;
    let drawn = "return [...document.querySelectorAll('figcaption i')].every((number) => number.textContent)";
    eventually(ALLOWANCE, async || {
        let drawn = browser.run(drawn).await == true;
        drawn.then_some(()).ok_or("no numbers yet")
    })
    .await;
    assert_eq!(
        browser.run(OVERFLOW).await[0],
        0,
        "at 320 nothing is beside the screen"
    );
    let unnamed = "return [...document.querySelectorAll('button, select, input')]
        .filter((control) => !(control.textContent.trim() || control.labels?.[0]?.textContent.trim()))
        .map((control) => control.outerHTML)";
    assert_eq!(browser.run(unnamed).await, json!([]), "every control has a name");
    browser.close().await;
    class.end().await;
}

#[tokio::test]
async fn what_the_lab_links_can_be_read_on_a_phone_and_on_paper() {
    let Some((class, browser)) = begin().await else {
        return;
    };
    let viewer = browser.run("return document.body.dataset.traces").await;
    let page = browser
        .run("return document.querySelector('.shown a').href")
        .await;

    let traces = format!(
        "{}/all",
        viewer.as_str().expect("a viewer runs").trim_end_matches('/')
    );
    browser.size(375, 720).await;
    eventually(ALLOWANCE, async || {
        browser.post("/url", &json!({"url": traces})).await;
        let rows = browser
            .run("return document.querySelectorAll('tbody tr').length")
            .await;
        if rows == 0 { Err("no trace yet") } else { Ok(()) }
    })
    .await;
    assert_eq!(
        browser.run(OVERFLOW).await[0],
        0,
        "the table is not beside the screen"
    );
    // Whoever has no mouse scrolls what has the focus.
    let reached = "const box = document.querySelector('.box'); box.focus(); box.scrollTo(9999, 0);
        const last = box.querySelector('th:last-child').getBoundingClientRect();
        return [document.activeElement === box, getComputedStyle(box).overflowX, last.right <= innerWidth]";
    assert_eq!(browser.run(reached).await, json!([true, "auto", true]));

    browser.size(1280, 720).await;
    let print = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"media": "print"}});
    browser.post("/goog/cdp/execute", &print).await;
    browser.post("/url", &json!({"url": page})).await;
    // Paper is white: browsers leave backgrounds out.
    let chosen = "const style = getComputedStyle(document.querySelector('.windows [aria-current]'));
        const text = getComputedStyle(document.body).color;
        return [style.backgroundColor, style.color === text, style.textDecorationLine]";
    assert_eq!(
        browser.run(chosen).await,
        json!(["rgba(0, 0, 0, 0)", true, "underline"])
    );
    browser.close().await;
    class.end().await;
}
