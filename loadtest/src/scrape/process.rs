//! The CPU time of a process, as Linux tells it.

use std::fs;
use std::time::Duration;

/// CPU time of a process so far; none where the system does not tell.
pub(super) fn cpu_us_of(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let ticks = ticks(&stat)?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(ticks * 1_000_000 / per_second.max(1))
}

/// CPU time of this process so far.
pub fn own_cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.try_into().ok()
}

/// Reads `utime` and `stime`, the 14th and 15th field. The second one is the name in parentheses, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn both_kinds_of_time_count_whatever_the_process_is_called() {
        let stat = "12 (a) b (c) S 1 1 1 0 -1 4194560 1 2 3 4 500 70 0 0 20 0 1 0 1 1 1";
        assert_eq!(ticks(stat), Some(570));
        assert_eq!(ticks("12 (a) S 1"), None);
    }

    #[test]
    fn work_costs_this_process_time() {
        let before = own_cpu_time().unwrap();
        let sum = (0..20_000_000_u64).fold(0, |sum, number| black_box(sum ^ number));
        assert!(own_cpu_time().unwrap() > before, "{sum}");
        if cfg!(target_os = "linux") {
            assert!(cpu_us_of(std::process::id()).is_some());
        }
        assert_eq!(cpu_us_of(u32::MAX), None);
    }
}
