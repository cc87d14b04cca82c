//! The page as it is usually written, beside the replicas: its place on the lab's page, its start and its end.

use std::time::Duration;

use maud::{Markup, html};
use tokio::time::timeout;

use super::buttons::toggle;
use super::controls::{BROKER_ANSWERS_WITHIN, require_free};
use super::refused::Refused;
use super::stage::Stage;
use crate::parts::{LINKED, NAIVE};
use stack::Link;
use stack::supervisor::{Layer, State};

/// How long it may take until it serves; a debug build on a busy machine needs seconds.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// A strip under the replicas; the script shows either what it is for or what it shows.
pub(super) fn render(stage: &Stage) -> Markup {
    html! {
        @for part in stage.layer(Layer::Naive) {
            article.part.naive data-part=(NAIVE) {
                div.top {
                    h3 { (NAIVE) " " small { ":" (part.port) " · the page as it is usually written: get_with + invalidate" } }
                    span.state data-field="state" {}
                    (toggle(NAIVE, "kill"))
                }
                p data-field="what" {
                    "Not started. To see it show an old page as fresh: start it, "
                    @if stage.link_of(NAIVE).is_some() { "cut " (LINKED) " (and it) off from NATS" } @else { "stop NATS" }
                    ", then rename."
                }
                div.verdict role="status" { b data-field="colour" {} " " code data-field="cache_status" {} " " span data-field="why" {} }
            }
        }
    }
}

impl Stage {
    /// Starts it, and waits until it serves: without a broker it ends by itself, and a death that nobody ordered ends the lab.
    pub(super) async fn start_naive(&self) -> Result<String, Refused> {
        let part = self.require(NAIVE, State::Down)?;
        if self.link_of(NAIVE).is_some_and(Link::is_held) {
            return Err(Refused::NotNow(format!(
                "{NAIVE} does not start while it is cut off from NATS: mend the link of {LINKED} first"
            )));
        }
        let greeted = timeout(BROKER_ANSWERS_WITHIN, self.stack.nats().probe.until_ready()).await;
        greeted.map_err(|_| {
            Refused::NotNow(format!(
                "{NAIVE} does not start without NATS, which does not answer"
            ))
        })?;
        require_free(part)?;
        self.processes.start(&part.program)?;
        if timeout(READY_WITHIN, part.probe.until_ready()).await.is_err() {
            self.processes.kill(NAIVE).await?;
            let seconds = READY_WITHIN.as_secs();
            return Err(Refused::NotNow(format!(
                "{NAIVE} did not serve within {seconds} s, and is ended again"
            )));
        }
        Ok(format!("{NAIVE} is started, with an empty cache"))
    }

    /// Ends it, if it runs: at first it does not.
    pub(super) async fn end_naive(&self) -> Result<(), Refused> {
        if self.processes.state(NAIVE) != State::Down {
            self.processes.end_gently(NAIVE).await?;
        }
        Ok(())
    }
}
