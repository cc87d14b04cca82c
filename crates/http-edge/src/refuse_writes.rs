//! Refusing changes while a service may not take them; reading goes on.

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;

use crate::Problem;

/// Seconds after which a client may ask again: such a state ends when somebody does something about it.
const RETRY_AFTER: &str = "5";

/// Answers requests that may change something with `refusal`, for as long as there is one.
pub fn refuse_writes<F>(router: Router, refusal: F) -> Router
where
    F: Fn() -> Option<Problem> + Clone + Send + Sync + 'static,
{
    router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let refused = if reads { None } else { refusal() };
        async move {
            match refused {
                Some(problem) => ([(header::RETRY_AFTER, RETRY_AFTER)], problem).into_response(),
                None => next.run(request).await,
            }
        }
    }))
}
