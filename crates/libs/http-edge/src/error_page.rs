//! Errors as people read them.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;

use crate::accept;
use crate::problem::Problem;

type Render = dyn Fn(&Problem) -> Response + Send + Sync;

/// How a service shows a [`Problem`] to people, whatever it comes from: a handler, an extractor, a limit, an unknown path.
///
/// Which form a client gets is one rule for all of them: the one that it prefers by its `Accept`.
#[derive(Clone)]
pub struct ErrorPage {
    render: Arc<Render>,
    /// Whether a client that has no preference gets HTML.
    by_default: bool,
}

impl ErrorPage {
    /// HTML for clients that prefer it to JSON, as browsers do: for a service whose other answers are for programs too.
    pub fn where_preferred(render: impl Fn(&Problem) -> Response + Send + Sync + 'static) -> Self {
        Self {
            render: Arc::new(render),
            by_default: false,
        }
    }

    /// HTML for all but clients that prefer JSON: for a service whose other answers follow the same rule.
    pub fn by_default(render: impl Fn(&Problem) -> Response + Send + Sync + 'static) -> Self {
        Self {
            by_default: true,
            ..Self::where_preferred(render)
        }
    }

    /// Notes of a request what its answer may need.
    pub(crate) fn note(&self, method: &Method, headers: &HeaderMap) -> Reader {
        Reader {
            page: self.clone(),
            accepts: headers.get_all(header::ACCEPT).iter().cloned().collect(),
            head_only: method == Method::HEAD,
        }
    }
}

impl fmt::Debug for ErrorPage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ErrorPage").finish_non_exhaustive()
    }
}

/// Who gets the answer to one request.
pub(crate) struct Reader {
    page: ErrorPage,
    accepts: Vec<HeaderValue>,
    /// Whether the body is not sent, but its length is told.
    head_only: bool,
}

impl Reader {
    /// Replaces the JSON of a problem with HTML, for those who would rather have that.
    pub(crate) fn show(&self, response: &mut Response) {
        let Some(problem) = response.extensions_mut().remove::<Problem>() else {
            return;
        };
        let preference = accept::compare(&self.accepts);
        let html = match preference {
            Ordering::Greater => true,
            Ordering::Equal => self.page.by_default,
            Ordering::Less => false,
        };
        if html {
            let (head, body) = (self.page.render)(&problem).into_parts();
            let length = body.size_hint().exact();
            response.headers_mut().extend(head.headers);
            response.headers_mut().remove(header::CONTENT_LENGTH);
            if let Some(length) = length {
                response
                    .headers_mut()
                    .insert(header::CONTENT_LENGTH, length.into());
            }
            *response.body_mut() = if self.head_only { Body::empty() } else { body };
        }
        let vary = HeaderValue::from_static("accept");
        response.headers_mut().entry(header::VARY).or_insert(vary);
    }
}
