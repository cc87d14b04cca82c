//! Which answers the log has already.

use std::convert::Infallible;

use axum::response::{IntoResponseParts, ResponseParts};

/// On a 5xx response: someone has written it to the log, or decided not to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlreadyLogged;

impl IntoResponseParts for AlreadyLogged {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}
