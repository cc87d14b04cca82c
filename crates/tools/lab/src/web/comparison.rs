//! The comparison of the strategies on a click: a process of its own, so that meanwhile the stack can be broken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::refused::Refused;
use super::stage::Stage;
use crate::strategies::{Compared, LoadTest};

/// At most one comparison at a time, and how far it is.
///
/// Not under the turn of the controls: they remain usable, and what they break, the comparison says.
#[derive(Clone, Debug, Default)]
pub(super) struct Comparison(Arc<Mutex<Standing>>);

/// What is said of the comparison.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(super) enum Standing {
    /// None was asked for yet.
    #[default]
    None,
    /// So much of this step is done.
    Running { step: String, done: u64, of: u64 },
    /// It came to its end.
    Done(Compared),
    /// It broke off.
    Failed { why: String },
}

impl Comparison {
    /// Starts one, unless one runs; answers what it does, in words.
    pub(super) fn start(&self, stage: &Stage) -> Result<String, Refused> {
        let load_test = LoadTest::new(&stage.stack);
        let missing = load_test.require_program();
        missing.map_err(|error| Refused::NotNow(error.to_string()))?;
        {
            let mut standing = self.lock();
            if matches!(*standing, Standing::Running { .. }) {
                return Err(Refused::NotNow(
                    "the strategies are being compared already".to_owned(),
                ));
            }
            *standing = Standing::Running {
                step: "starting".to_owned(),
                done: 0,
                of: 1,
            };
        }
        let here = self.clone();
        tokio::spawn(async move {
            let compared = load_test.run(|moved| {
                *here.lock() = Standing::Running {
                    step: moved.step,
                    done: moved.done,
                    of: moved.of,
                };
            });
            let standing = match compared.await {
                Ok(compared) => Standing::Done(compared),
                Err(error) => Standing::Failed {
                    why: format!("{error:#}"),
                },
            };
            *here.lock() = standing;
        });
        Ok("the strategies are being compared".to_owned())
    }

    /// How far it is, or what came of it.
    pub(super) fn standing(&self) -> Standing {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
