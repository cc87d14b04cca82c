//! Exports that are compressed: OTLP over HTTP asks every receiver to take gzip.

use std::io::Read as _;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::MultiGzDecoder;
use http_edge::Problem;

/// The body without its encoding, if it is not larger than `limit` then.
pub(crate) fn plain(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Bytes, Problem> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    let encoding = encoding.map(|encoding| encoding.to_str().unwrap_or_default().trim());
    match encoding {
        None => Ok(body),
        Some(name) if name.eq_ignore_ascii_case("identity") => Ok(body),
        Some(name) if name.eq_ignore_ascii_case("gzip") => unzip(&body, limit),
        Some(_) => Err(Problem::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .with_detail("an export is taken as it is or compressed by gzip")),
    }
}

fn unzip(body: &[u8], limit: usize) -> Result<Bytes, Problem> {
    let mut plain = Vec::new();
    // One byte more than is allowed: a few bytes of gzip can be gigabytes.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(body)
        .take(most)
        .read_to_end(&mut plain)
        .map_err(|error| Problem::from_status(StatusCode::BAD_REQUEST).with_detail(error.to_string()))?;
    if plain.len() > limit {
        return Err(Problem::from_status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    Ok(plain.into())
}
