//! Refusing changes while a service may not take them; reading goes on.

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;

use crate::problem::Problem;

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
                Some(problem) => problem.into_response(),
                None => next.run(request).await,
            }
        }
    }))
}
