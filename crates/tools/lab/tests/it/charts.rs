//! The charts in a real browser: what they draw, where they mark a choice, and what they say under the pointer.

use std::time::Duration;

use serde_json::json;
use test_support::eventually;

use crate::browser;

/// How many values each line of each chart has, and whether its colour can be seen there.
const DRAWN: &str = "
    const colours = ['--line', '--second'].map((name) => getComputedStyle(document.documentElement).getPropertyValue(name));
    const shows = ({ ctx }, colour) => {
        const wanted = [1, 3, 5].map((place) => parseInt(colour.trim().slice(place, place + 2), 16));
        const { data } = ctx.getImageData(0, 0, ctx.canvas.width, ctx.canvas.height);
        for (let at = 0; at < data.length; at += 4) {
            if (data[at + 3] === 255 && wanted.every((value, place) => data[at + place] === value)) return true;
        }
        return false;
    };
    return Object.values(charts).map(({ data, plot }) => data.slice(1).map((line, place) =>
        [line.filter((value) => value !== null).length, shows(plot, colours[place])]))";

#[tokio::test]
async fn the_charts_draw_every_replica_mark_a_choice_and_say_what_is_under_the_pointer() {
    let Some((class, browser)) = browser::begin().await else {
        return;
    };
    browser.reads("[data-when]", "last minute").await;
    browser.type_into("#strategy", "none").await;
    browser.reads("#done", "Cache-Strategy: none").await;
    eventually(Duration::from_secs(15), async || {
        let drawn = browser.run(DRAWN).await;
        let lines: Vec<(u64, bool)> = drawn
            .as_array()
            .expect("four charts")
            .iter()
            .flat_map(|chart| serde_json::from_value::<Vec<_>>(chart.clone()).expect("a line per replica"))
            .collect();
        let seen = lines.len() == 8 && lines.iter().all(|&(values, seen)| values >= 2 && seen);
        if seen { Ok(()) } else { Err(drawn.to_string()) }
    })
    .await;
    let chosen = browser
        .run("return chartChoices.map(([, strategy]) => strategy)")
        .await;
    assert_eq!(chosen, json!(["invalidate", "none"]));

    browser.point_at("[data-chart=took]").await;
    browser.reads("[data-when]", "s ago").await;
    browser.point_at("#name").await;
    browser.reads("[data-when]", "last minute").await;
    browser.close().await;
    class.end().await;
}
