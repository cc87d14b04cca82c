//! A witness of how promptly each replica answers anything at all.
//!
//! A replica that stands still, or does not get its turn on a busy machine, answers every request late, which is not a fault of the
//! page. So it is asked for `/livez`, which waits for nothing, all the time, and where that is late, an answer to a reader may be as
//! late.

use std::sync::Arc;
use std::time::Duration;

use stack::Moment;
use tokio::sync::RwLock;

use crate::client::READ_WITHIN;
use crate::history::{Replica, Stall};
use crate::recorder::Recorder;

/// The time between two questions.
const PAUSE: Duration = Duration::from_millis(20);
/// What is answered within this is prompt.
const PROMPT: Duration = Duration::from_millis(20);

/// Asks a replica again and again, and writes down when it did not answer promptly. Holds `gate` for reading meanwhile, as readers
/// do: so when nobody reads, no stall is still unrecorded.
pub async fn watch(replica: Replica, url: String, recorder: Arc<Recorder>, gate: Arc<RwLock<()>>) {
    let client = stack::http::client(READ_WITHIN);
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
