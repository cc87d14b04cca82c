//! A page that says one thing: that something is not there, or cannot be had now.

use maud::html;

use super::layout;

/// What to say.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// In a few words.
    pub(crate) title: &'a str,
    /// In a sentence each.
    pub(crate) details: &'a [String],
}

/// Renders the message up to the page's footer.
pub(crate) fn render_message(message: &Message<'_>) -> String {
    let main = html! {
        div.head {
            div {
                h1 { (message.title) }
                @for detail in message.details { p { (detail) } }
            }
        }
        p.next { a href="/" { "See all accounts" } }
    };
    layout::open(message.title, None, &main).into_string()
}
