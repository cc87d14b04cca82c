//! The buttons of the lab's page.

use maud::{Markup, html};
use stack::ports::url;

use super::stage::Stage;

/// A button whose meaning follows the part's state; the script gives it its word and its command.
pub(super) fn toggle(part: &str, what: &str) -> Markup {
    html! { button type="button" data-toggle=(what) data-of=(part) { (what) } }
}

/// A button that asks for a control.
pub(super) fn button(stage: &Stage, control: &str, text: &str) -> Markup {
    html! {
        button type="button" data-do=(control) data-command=(lab_command(stage, control)) { (text) }
    }
}

/// The command that asks the lab itself: for what only the lab may do, because a process's end would be a failure otherwise.
pub(super) fn lab_command(stage: &Stage, control: &str) -> String {
    format!("curl -X POST '{}/do/{control}'", url(stage.stack.ports.lab))
}
