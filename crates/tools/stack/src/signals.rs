//! Signals to child processes: stopping one for a while, as a long garbage collection or a suspended virtual machine would, and
//! asking one to end.

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Pauses a child process (SIGSTOP): its connections stay open, and nothing in it runs. Returns once it stands still.
///
/// # Panics
/// When it is no child of this process, or has ended.
pub(crate) fn pause_process(id: u32) {
    let process = pid(id);
    kill_process(process, Signal::STOP).expect("a process that runs can be paused");
    // The signal is on its way when `kill` returns. Its parent is told once the last thread has stopped; an end is
    // waited for too, so that this cannot wait for ever. Nothing is reaped: that is the owner's.
    let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let status = retry_on_intr(|| waitid(WaitId::Pid(process), stopped)).expect("a child can be waited for");
    assert!(status.is_some_and(|status| status.stopped()), "the process ended");
}

/// Lets a paused process go on (SIGCONT). It is no error if it was not paused.
///
/// # Panics
/// When it has ended.
pub(crate) fn resume_process(id: u32) {
    kill_process(pid(id), Signal::CONT).expect("a process that has not ended can be resumed");
}

/// Asks a process to end (SIGTERM), as a deployment does.
///
/// # Panics
/// When it has ended.
pub(crate) fn terminate_process(id: u32) {
    kill_process(pid(id), Signal::TERM).expect("a process that has not ended can be asked to");
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed()).expect("a process has a number")
}
