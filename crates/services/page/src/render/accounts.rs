//! The list of accounts, each linking its page.

use maud::html;

use super::layout;
use super::numbers::count;

/// One account of the list.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Listed {
    /// Whose page to link.
    pub(crate) id: u64,
    /// What it is called.
    pub(crate) name: String,
    /// What it says of itself; may be empty.
    pub(crate) description: String,
}

/// Renders one page of the list up to its footer. `next` is where the list goes on.
pub(crate) fn render_accounts(accounts: &[Listed], next: Option<u64>) -> String {
    let main = html! {
        div.head {
            div {
                h1 { "Accounts" }
                p {
                    @if accounts.is_empty() { "There are none here." }
                    @else { (count(accounts.len(), "account")) ", each with a page of its own." }
                }
            }
        }
        ul.list {
            @for account in accounts {
                li { a href={ "/accounts/" (account.id) } { b { (account.name) } span { (account.description) } } }
            }
        }
        @if let Some(next) = next { p.next { a href={ "/?after=" (next) } { "More accounts" } } }
    };
    layout::open("Accounts", None, &main).into_string()
}
