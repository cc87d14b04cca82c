//! An account to compare on: a few endpoints with a day of samples.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};

use stack::data::State;
use stack::sources::{AccountId, EndpointId, NewSample, Sources};

/// How many endpoints it has.
const ENDPOINTS: u32 = 5;

/// How many samples each has: every ten minutes of a day.
const SAMPLES: u32 = 144;

/// Gives the account its endpoints and their samples.
pub(super) async fn furnish(account: AccountId, sources: &Sources) -> Result<()> {
    let now = Timestamp::now();
    for number in 0..ENDPOINTS {
        let name = format!("Compared {number}");
        let url = format!("https://example.org/lab/compare/{number}");
        let endpoint = sources.add_endpoint(account, &name, &url).await?;
        sources.record(account, &samples(endpoint, now)).await?;
    }
    Ok(())
}

fn samples(endpoint_id: EndpointId, now: Timestamp) -> Vec<NewSample> {
    let sample = |back: u32| NewSample {
        endpoint_id,
        at: Some(now - SignedDuration::from_mins(10 * i64::from(back))),
        state: State::Up,
        status_code: 200,
        response_ms: 40 + back % 60,
    };
    (0..SAMPLES).map(sample).collect()
}
