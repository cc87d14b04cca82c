//! A witness of how promptly each replica answers anything at all.
//!
//! A replica that stands still, or does not get its turn on a busy machine, answers late whatever was asked of it: that is
//! nothing that it does wrong. So it is asked for `/livez`, which waits for nothing, all the time, and where that is late, an answer
//! to a reader may be as late.

use std::sync::Arc;
use std::time::Duration;

use stack::Moment;
use tokio::sync::RwLock;

use crate::history::{Replica, Stall};
use crate::recorder::Recorder;

/// The time between two questions.
const PAUSE: Duration = Duration::from_millis(20);
/// What is answered within this is prompt.
const PROMPT: Duration = Duration::from_millis(20);
/// As long as a reader waits for an answer, so that no pause is longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks a replica again and again, and writes down when it did not answer promptly. Holds `gate` for reading meanwhile, as readers
/// do: so when nobody reads, nothing of it is still to be written down.
///
/// # Panics
/// Never in practice: a client without TLS can always be made.
pub async fn watch(replica: Replica, url: String, recorder: Arc<Recorder>, gate: Arc<RwLock<()>>) {
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true);
    let client = client.timeout(PATIENCE).build();
    let client = client.expect("a client without TLS can always be made");
    let url = format!("{}/livez", url.trim_end_matches('/'));
    loop {
        {
            let _asking = gate.read().await;
            let from = Moment::now();
            // An error: it is being killed or started. Nobody is answered then.
            _ = client.get(&url).send().await;
            let until = Moment::now();
            if until.since(from) > PROMPT {
                recorder.stalled(Stall { replica, from, until });
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
