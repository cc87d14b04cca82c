//! What can go wrong here, and how it is answered: a problem for programs, a page for people.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_edge::{ErrorPage, Problem};

use crate::accept::Format;
use crate::caches::NotAChoice;
use crate::document::{Footers, html};
use crate::key::{AccountId, NotAWindow, NotAnAccountId};
use crate::render::{Message, Served, render_message};

use crate::token::NotAToken;
use crate::upstream::UpstreamError;

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The broker's URL cannot be used.
    #[error(transparent)]
    Broker(#[from] event_bus::ConnectError),
    /// The listener failed, or a task ended that the pages' freshness depends on.
    #[error(transparent)]
    Serve(#[from] http_edge::ServeError),
}

/// Why a request gets no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The account in the path is none.
    #[error("the path names no account")]
    Account(#[source] NotAnAccountId),
    /// The place in the list from which to go on is none.
    #[error("`after` names no account")]
    After(#[source] NotAnAccountId),
    /// The window asked for is none.
    #[error("unknown window")]
    Window(#[from] NotAWindow),
    /// The consistency token cannot be read.
    #[error("the consistency token cannot be read")]
    Token(#[source] NotAToken),
    /// The strategy asked for is none, or not to be had.
    #[error("this cache strategy is not available")]
    Strategy(#[source] NotAChoice),
    /// Accounts says so.
    #[error("there is no account {0}")]
    NoSuchAccount(AccountId),
    /// The reader wants another version than there is; the `ETag` of the page.
    #[error("the page is not the one that If-Match names")]
    PreconditionFailed(String),
    /// `only-if-cached`, and the cache has no page that this reader may see.
    #[error("the page is not cached, and only-if-cached allows no load")]
    NotCached,
    /// No source answered, and nothing is known from before: what each of them did instead.
    #[error("no source answered: {}", .0.join("; "))]
    NothingToShow(Vec<String>),
    /// Accounts did not answer, and the list is not cached.
    #[error("accounts does not answer")]
    NoList(#[source] UpstreamError),
}

impl Refusal {
    /// Answers in the form the reader can read; `footer` is asked for if that is HTML.
    pub(crate) fn respond(self, format: Format, footer: impl FnOnce() -> Bytes) -> Response {
        let (problem, details) = self.describe();
        let status = problem.status();
        let page = (format == Format::Html).then(|| {
            let title = self.title();
            html(
                render_message(&Message {
                    title,
                    details: &details,
                })
                .into(),
                footer(),
            )
        });
        let mut response = problem
            .with_detail(details.join(" "))
            .with_cause(self)
            .into_response();
        if let Some(page) = page {
            // This page says more than the one for any problem.
            response.extensions_mut().remove::<Problem>();
            // The problem's own response is kept, because the edge finds in it what to log.
            let (head, body) = page.into_parts();
            response.headers_mut().extend(head.headers);
            *response.body_mut() = body;
        }
        response
            .headers_mut()
            .insert(header::VARY, HeaderValue::from_static("accept"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    const fn title(&self) -> &'static str {
        match self {
            Self::Account(_) | Self::After(_) | Self::Window(_) => "This address is not valid",
            Self::Token(_) | Self::Strategy(_) => "A header of this request is not valid",
            Self::NoSuchAccount(_) => "There is no such account",
            Self::PreconditionFailed(_) => "The preconditions do not allow this page",
            Self::NotCached => "This page is not cached",
            Self::NothingToShow(_) => "This page cannot be shown now",
            Self::NoList(_) => "The accounts cannot be listed now",
        }
    }

    /// The problem, and what to tell people, in sentences.
    fn describe(&self) -> (Problem, Vec<String>) {
        let problem = |status, slug| Problem::new(status, slug, self.title());
        let invalid = |field: &str, error: &dyn std::error::Error| {
            let slug = match self {
                Self::Token(_) | Self::Strategy(_) => "invalid-header",
                _ => "invalid-address",
            };
            let problem = problem(StatusCode::BAD_REQUEST, slug);
            (
                problem.with_field(field, error.to_string()),
                vec![format!("{}.", capitalized(&error.to_string()))],
            )
        };
        match self {
            Self::Account(error) => invalid("id", error),
            Self::After(error) => invalid("after", error),
            Self::Window(error) => invalid("window", error),
            Self::Token(error) => invalid("Consistency-Token", error),
            Self::Strategy(error) => invalid("Cache-Strategy", error),
            Self::NoSuchAccount(account) => (
                problem(StatusCode::NOT_FOUND, "account-not-found"),
                vec![format!("Account {account} was deleted, or never existed.")],
            ),
            Self::PreconditionFailed(etag) => (
                problem(StatusCode::PRECONDITION_FAILED, "version-mismatch"),
                vec![format!("The page's ETag is {etag}.")],
            ),
            Self::NotCached => (
                // The reader asked for it: it is no failure of ours, and nothing for the log.
                problem(StatusCode::GATEWAY_TIMEOUT, "not-cached").already_logged(),
                vec!["Nothing cached satisfies this request, and only-if-cached allows no load.".to_owned()],
            ),
            Self::NothingToShow(reasons) => (
                problem(StatusCode::SERVICE_UNAVAILABLE, "nothing-to-show"),
                reasons
                    .iter()
                    .map(|reason| format!("{}.", capitalized(reason)))
                    .collect(),
            ),
            Self::NoList(error) => (
                problem(StatusCode::SERVICE_UNAVAILABLE, "accounts-unavailable"),
                vec![
                    format!("Accounts {error}."),
                    "A page whose address you know may still be available.".to_owned(),
                ],
            ),
        }
    }
}

/// How any problem is shown to people: also one that no handler of ours has seen, such as that of an unknown path.
pub(crate) fn error_page(footers: Footers) -> ErrorPage {
    ErrorPage::by_default(move |problem| {
        let details = problem.details();
        let details: Vec<_> = details
            .map(|detail| format!("{}.", capitalized(&detail)))
            .collect();
        let message = Message {
            title: problem.title(),
            details: &details,
        };
        let footer = footers.footer_of(problem.trace_id(), Served::default());
        html(render_message(&message).into(), footer)
    })
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}
