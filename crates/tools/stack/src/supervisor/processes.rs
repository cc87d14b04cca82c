//! The children, by name: shared by the supervisor and by whoever breaks them on purpose.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, ensure};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::child::{Child, Order};
use super::program::{Death, Program, State};
use crate::console::Console;
use crate::process::find_program;

/// The running processes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Processes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    console: Console,
    /// Where it exists, a wrapper that lets the kernel stop the children of a lab that was killed outright.
    setpriv: Option<PathBuf>,
    report: mpsc::UnboundedSender<Death>,
    hurry: CancellationToken,
    children: Mutex<Children>,
}

#[derive(Debug, Default)]
struct Children {
    list: Vec<Child>,
    /// The end has begun: whoever starts something now would leave it behind.
    closed: bool,
}

impl Processes {
    pub(super) fn new(console: Console, report: mpsc::UnboundedSender<Death>) -> Self {
        let setpriv = if cfg!(target_os = "linux") {
            find_program("setpriv".as_ref())
        } else {
            None
        };
        Self {
            shared: Arc::new(Shared {
                console,
                setpriv,
                report,
                hurry: CancellationToken::new(),
                children: Mutex::default(),
            }),
        }
    }

    /// Starts a process. Its name is how it is called from then on, so no other that runs should have it.
    ///
    /// Call it from a thread that lives as long as the lab: to the kernel, a child's parent is the thread that made it.
    pub fn start(&self, program: &Program) -> Result<()> {
        let mut children = self.children();
        ensure!(!children.closed, "the lab is stopping");
        let shared = &self.shared;
        let child = Child::start(
            program,
            shared.setpriv.as_deref(),
            &shared.console,
            &shared.report,
            &shared.hurry,
        )
        .with_context(|| format!("{} could not be started", program.name))?;
        children.list.push(child);
        Ok(())
    }

    /// How a process is.
    pub fn state(&self, name: &str) -> State {
        let children = self.children();
        let place = children.place(name);
        place.map_or(State::Down, |place| children.list[place].state)
    }

    /// The number by which the system knows a process.
    pub fn id(&self, name: &str) -> Option<u32> {
        let children = self.children();
        children.list[children.place(name)?].id
    }

    /// Lets a process stand still (SIGSTOP).
    pub fn pause(&self, name: &str) -> Result<()> {
        self.turn(name, State::Paused, Order::Pause)
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self, name: &str) -> Result<()> {
        self.turn(name, State::Running, Order::Resume)
    }

    /// Ends a process as a power cut would (SIGKILL), and waits until it is gone.
    pub async fn kill(&self, name: &str) -> Result<()> {
        self.end(name, Order::Kill).await
    }

    /// Ends a process in good order, and waits until it is gone.
    pub async fn end_gently(&self, name: &str) -> Result<()> {
        self.end(name, Order::End).await
    }

    pub(super) fn last_lines(&self, name: &str) -> String {
        let children = self.children();
        let place = children.place(name);
        place.map_or_else(String::new, |place| children.list[place].last_lines())
    }

    /// When cancelled, [`stop`](Self::stop) is done with waiting and kills.
    pub fn hurry(&self) -> CancellationToken {
        self.shared.hurry.clone()
    }

    /// Asks every process to end, the highest layer first, and kills those that do not within eight seconds.
    ///
    /// From now on nothing can be started.
    pub async fn stop(&self) {
        self.children().closed = true;
        while let Some(ending) = self.take_top_layer() {
            for child in &ending {
                child.order(Order::End);
            }
            for child in ending {
                child.ended().await;
            }
        }
    }

    fn take_top_layer(&self) -> Option<Vec<Child>> {
        let mut children = self.children();
        let top = children.list.iter().map(|child| child.layer).max()?;
        Some(children.list.extract_if(.., |child| child.layer == top).collect())
    }

    fn turn(&self, name: &str, state: State, order: Order) -> Result<()> {
        let mut children = self.children();
        let place = children
            .place(name)
            .with_context(|| format!("{name} is not running"))?;
        let child = &mut children.list[place];
        child.state = state;
        child.order(order);
        Ok(())
    }

    async fn end(&self, name: &str, order: Order) -> Result<()> {
        let child = {
            let mut children = self.children();
            let place = children
                .place(name)
                .with_context(|| format!("{name} is not running"))?;
            children.list.remove(place)
        };
        child.order(order);
        child.ended().await;
        Ok(())
    }

    fn children(&self) -> MutexGuard<'_, Children> {
        self.shared
            .children
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Children {
    fn place(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|child| child.name == name)
    }
}
