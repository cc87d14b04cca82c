//! Who may change something in the lab: its own page, and programs of this machine.
//!
//! What the lab does on a click must not be done by a page of somebody else's. That no other name leads here is what
//! [`http_edge::serve`] sees to.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_edge::Problem;

/// Refuses changes that another origin asks for.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    if request.method() != Method::GET && !is_from_us(request.headers()) {
        return Problem::from_status(StatusCode::FORBIDDEN)
            .with_detail("only the lab's own page, or a program that names no origin, may change something")
            .into_response();
    }
    next.run(request).await
}

/// A browser names the origin of every POST, which is ours if it is where the request went; a program names none.
fn is_from_us(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST);
    let ours = |origin: &str| {
        let origin = origin.strip_prefix("http://");
        origin.is_some_and(|origin| host.is_some_and(|host| host == origin))
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
        let from_us = |host, origin| {
            let headers = [(header::HOST, host), (header::ORIGIN, origin)];
            is_from_us(&HeaderMap::from_iter(
                headers.map(|(name, value)| (name, HeaderValue::from_static(value))),
            ))
        };
        let without = [(header::HOST, HeaderValue::from_static("localhost:8090"))];
        assert!(is_from_us(&HeaderMap::from_iter(without)));
        assert!(from_us("127.0.0.1:8090", "http://127.0.0.1:8090"));
        assert!(from_us("localhost:8090", "http://localhost:8090"));
        for other in [
            "null",
            "https://127.0.0.1:8090",
            "http://127.0.0.1:8080",
            "http://localhost:8090",
            "http://evil.example",
        ] {
            assert!(!from_us("127.0.0.1:8090", other), "{other}");
        }
    }
}
