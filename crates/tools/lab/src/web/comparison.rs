//! The comparison of the strategies on a click: a task of its own, so that meanwhile the stack can be broken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::controls::Refused;
use super::stage::Stage;
use crate::config::{ACCOUNTS_URL, ENDPOINTS_URL, METRICS_URL, PAGE_URL};
use crate::strategies::{self, Compared, Plan};
use stack::ports::url;

/// At most one comparison at a time, and how far it is.
///
/// Not under the turn of the controls: they remain usable, and what they break, the comparison says. Its client shares
/// the lab's one thread with all that draws the lab's page.
#[derive(Clone, Debug, Default)]
pub(super) struct Comparison(Arc<Mutex<Standing>>);

/// What is said of the comparison.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(super) enum Standing {
    /// None was asked for yet.
    #[default]
    None,
    /// So many slices of all are done.
    Running { done: usize, of: usize },
    /// It came to its end.
    Done(Compared),
    /// It broke off.
    Failed { why: String },
}

impl Comparison {
    /// Starts one, unless one runs; answers what it does, in words.
    pub(super) fn start(&self, stage: &Stage) -> Result<String, Refused> {
        let plan = Plan::default();
        let page_url = stage.stack.first_page_url();
        {
            let mut standing = self.lock();
            if matches!(*standing, Standing::Running { .. }) {
                return Err(Refused::NotNow(
                    "the strategies are being compared already".to_owned(),
                ));
            }
            *standing = Standing::Running {
                done: 0,
                of: plan.slices(),
            };
        }
        let (sources, here) = (stage.sources.clone(), self.clone());
        let comparing = tokio::spawn(async move {
            let progress = |done| {
                *here.lock() = Standing::Running {
                    done,
                    of: plan.slices(),
                }
            };
            strategies::run(&sources, &page_url, plan, progress, std::future::pending()).await
        });
        let here = self.clone();
        tokio::spawn(async move {
            let failed = |why| Standing::Failed { why };
            let standing = match comparing.await {
                Ok(Ok(compared)) => Standing::Done(compared),
                Ok(Err(error)) => failed(format!("{error:#}")),
                Err(panicked) => failed(panicked.to_string()),
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

/// The command that does the same in a terminal; what is everywhere the default is left out.
pub(super) fn command(stage: &Stage) -> String {
    let ports = &stage.stack.ports;
    let flags = [
        ("--accounts-url", url(ports.accounts), ACCOUNTS_URL),
        ("--endpoints-url", url(ports.endpoints), ENDPOINTS_URL),
        ("--metrics-url", url(ports.metrics), METRICS_URL),
        ("--page-url", stage.stack.first_page_url(), PAGE_URL),
    ];
    let mut words = vec![program(), "compare".to_owned()];
    for (flag, value, usual) in flags {
        if value != usual {
            words.extend([flag.to_owned(), value]);
        }
    }
    words.join(" ")
}

/// The lab's own program, as it is called from where the lab was started.
fn program() -> String {
    let Ok(program) = std::env::current_exe() else {
        return "lab".to_owned();
    };
    let here = std::env::current_dir().unwrap_or_default();
    program
        .strip_prefix(here)
        .unwrap_or(&program)
        .display()
        .to_string()
}
