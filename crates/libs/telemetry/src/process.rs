//! What the process itself costs: the CPU time it has used, and the memory it holds.

use std::time::Duration;

use opentelemetry::metrics::Meter;
use rustix::time::{ClockId, clock_gettime};

/// Adds the process's metrics, named by OpenTelemetry's conventions. They are read when somebody asks, and cost nothing else.
pub(crate) fn observe(meter: &Meter) {
    meter
        .f64_observable_counter("process.cpu.time")
        .with_description("CPU time of this process, of the user and of the system.")
        .with_unit("s")
        .with_callback(|counter| counter.observe(cpu_time().as_secs_f64(), &[]))
        .build();
    meter
        .i64_observable_up_down_counter("process.memory.usage")
        .with_description("Physical memory that this process holds.")
        .with_unit("By")
        .with_callback(|counter| {
            if let Some(bytes) = resident_bytes() {
                counter.observe(bytes, &[]);
            }
        })
        .build();
}

fn cpu_time() -> Duration {
    // No clock of the kernel's that is always there gives a negative time.
    clock_gettime(ClockId::ProcessCPUTime)
        .try_into()
        .unwrap_or_default()
}

/// The second number of `/proc/self/statm`, in pages; none where there is no such file.
fn resident_bytes() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * i64::try_from(rustix::param::page_size()).ok()?)
}
