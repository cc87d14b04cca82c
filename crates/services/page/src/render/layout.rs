//! The shell of every HTML page: head, style, top bar; and what its bytes may load, which is nothing.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::fragment::State;

/// The style, inside each page so that a page is one file and one request.
const STYLE: &str = include_str!("style.css");

/// Allows the style above by its hash and forbids all else: no script, no frame, no form, no font, no
/// request.
///
/// By hash and not by nonce, because the same bytes go to every reader.
pub(crate) static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 is a header's text")
});

/// What ends a page, after its footer.
pub(super) const END: PreEscaped<&str> = PreEscaped("</body></html>");

/// Renders a page up to its footer. `worst` colours the icon in the browser's tab.
///
/// The document stays open: the footer differs from answer to answer and follows these bytes, so `html` and
/// `body` are opened here by hand and closed by [`END`].
pub(super) fn open(title: &str, worst: Option<State>, main: &Markup) -> Markup {
    html! {
        (PreEscaped("<!DOCTYPE html><html lang=\"en\">"))
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { (title) }
            link rel="icon" href=(icon(worst));
            style { (PreEscaped(STYLE)) }
        }
        (PreEscaped("<body>"))
        header.top {
            div.wide {
                svg viewBox="0 0 30 22" aria-hidden="true" { path d="M1 15h6l4-12 6 17 4-9h8" {} }
                a href="/" { "All accounts" }
            }
        }
        main.wide { (main) }
    }
}

/// How a state is called, also by the style sheet.
pub(super) fn state_name(state: Option<State>) -> &'static str {
    match state {
        Some(State::Up) => "up",
        Some(State::Degraded) => "degraded",
        Some(State::Down) => "down",
        None => "unknown",
    }
}

fn icon(worst: Option<State>) -> String {
    let colour = match worst {
        Some(State::Up) => "2aa76a",
        Some(State::Degraded) => "d99a1b",
        Some(State::Down) => "d9363e",
        None => "8a96a3",
    };
    format!(
        "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>\
         <circle cx='8' cy='8' r='7' fill='%23{colour}'/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_is_the_one_the_policy_allows_and_cannot_end_its_element() {
        let page = open("t", None, &html! {}).into_string();
        let style = page
            .split("<style>")
            .nth(1)
            .unwrap()
            .split("</style>")
            .next()
            .unwrap();
        let hash = STANDARD.encode(Sha256::digest(style));
        assert!(CONTENT_SECURITY_POLICY.to_str().unwrap().contains(&hash));
        assert_eq!(style, STYLE);
    }
}
