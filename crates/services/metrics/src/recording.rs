//! The JSON of a batch of samples, and everything that can be wrong with it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Error;
use crate::sample::{Batch, EndpointId, Invalid, ResponseMs, Sample, State, StatusCode, UnixMs};

/// The most samples of one batch: it is one transaction, and others wait for it.
const BATCH_LIMIT: usize = 1_000;

/// Samples to be recorded together: all of them, or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordSamples {
    #[schema(min_items = 1, max_items = 1000)]
    samples: Vec<RecordSample>,
}

/// One check of an endpoint. Of two with the same endpoint and time, to the millisecond, the last one counts.
// The fields are read as whatever came: typed ones would stop at the first that is wrong, and could not say which
// sample it was.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RecordSample {
    #[serde(default)]
    #[schema(value_type = i64, required = true, minimum = 1, example = 3)]
    endpoint_id: Value,
    /// When, RFC 3339; at most 60 s in the future. Without it: when the batch arrived.
    #[serde(default, deserialize_with = "http_edge::present")]
    #[schema(value_type = String, required = false, nullable = false, format = DateTime)]
    at: Option<Value>,
    /// `up`, `degraded` or `down`.
    #[serde(default)]
    #[schema(value_type = String, required = true, pattern = "^(up|degraded|down)$", example = "up")]
    state: Value,
    /// The HTTP status; 0 where no answer came.
    #[serde(default)]
    #[schema(value_type = u16, required = true, maximum = 599, example = 200)]
    status_code: Value,
    /// How long the answer took; 0 where none came.
    #[serde(default)]
    #[schema(value_type = u32, required = true, maximum = 600_000, example = 218)]
    response_ms: Value,
}

impl RecordSamples {
    /// The batch, or everything that is wrong with it at once. Samples without a time get `now`.
    pub(crate) fn validate(self, now: Timestamp) -> Result<Batch, Error> {
        if !(1..=BATCH_LIMIT).contains(&self.samples.len()) {
            return Err(Error::invalid_field(
                "samples",
                Invalid("must be 1 to 1000 samples"),
            ));
        }
        let mut samples = Vec::with_capacity(self.samples.len());
        let mut wrong = Vec::new();
        for (index, sample) in self.samples.iter().enumerate() {
            match sample.validate(now) {
                Ok(sample) => samples.push(sample),
                Err(fields) => wrong.extend(
                    fields
                        .into_iter()
                        .map(|(field, invalid)| (format!("samples[{index}].{field}"), invalid)),
                ),
            }
        }
        if wrong.is_empty() {
            Ok(samples.into_iter().collect())
        } else {
            Err(Error::InvalidFields(wrong))
        }
    }
}

/// A whole number, be it written `218` or `218.0`: to JSON Schema both are integers.
fn whole(value: &Value) -> Option<i64> {
    /// Above this a float stands for several whole numbers.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = || {
        value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && number.abs() < EXACT)
    };
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and below 2^53")]
    value.as_i64().or_else(|| float().map(|number| number as i64))
}

impl RecordSample {
    fn validate(&self, now: Timestamp) -> Result<(EndpointId, Sample), Vec<(&'static str, Invalid)>> {
        let at = self.at.as_ref().map(|at| UnixMs::parse(at.as_str(), now));
        let fields = (
            EndpointId::parse(whole(&self.endpoint_id)),
            at.unwrap_or(Ok(now.into())),
            State::parse(self.state.as_str()),
            StatusCode::parse(whole(&self.status_code)),
            ResponseMs::parse(whole(&self.response_ms)),
        );
        match fields {
            (Ok(endpoint), Ok(at), Ok(state), Ok(status_code), Ok(response_ms)) => Ok((
                endpoint,
                Sample {
                    at,
                    state,
                    status_code,
                    response_ms,
                },
            )),
            (endpoint_id, at, state, status_code, response_ms) => Err([
                ("endpoint_id", endpoint_id.err()),
                ("at", at.err()),
                ("state", state.err()),
                ("status_code", status_code.err()),
                ("response_ms", response_ms.err()),
            ]
            .into_iter()
            .filter_map(|(field, invalid)| Some((field, invalid?)))
            .collect()),
        }
    }
}
