//! Who may speak to the lab: this machine's own browser, under this machine's own name.
//!
//! What the lab does on a click must not be done by a page of somebody else's, nor by a name that was made to lead here.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_edge::{Problem, loopback};

use crate::stack::local;

/// Refuses requests for other hosts, and changes that another origin asks for.
pub(super) async fn guard(State(port): State<u16>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !loopback::is_asked(headers, local(port)) {
        return Problem::from_status(StatusCode::MISDIRECTED_REQUEST)
            .with_detail(format!(
                "the lab is at http://127.0.0.1:{port}/ and under no other name"
            ))
            .into_response();
    }
    if request.method() != Method::GET && !is_from_us(headers, port) {
        return Problem::from_status(StatusCode::FORBIDDEN)
            .with_detail("only the lab's own page, or a program that names no origin, may change something")
            .into_response();
    }
    next.run(request).await
}

/// A browser names the origin of every POST; a program on this machine names none.
fn is_from_us(headers: &HeaderMap, port: u16) -> bool {
    let ours = |origin: &str| {
        let host = origin.strip_prefix("http://");
        host.is_some_and(|host| loopback::names(local(port)).iter().any(|name| name == host))
    };
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.all(|origin| origin.to_str().is_ok_and(ours))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn other_origins_and_hidden_ones_are_not_ours() {
        let from_us = |origin: &'static str| {
            let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
            is_from_us(&headers, 8090)
        };
        assert!(is_from_us(&HeaderMap::new(), 8090));
        assert!(from_us("http://127.0.0.1:8090"));
        assert!(from_us("http://localhost:8090"));
        for other in [
            "null",
            "https://127.0.0.1:8090",
            "http://127.0.0.1:8080",
            "http://evil.example",
        ] {
            assert!(!from_us(other), "{other}");
        }
    }
}
