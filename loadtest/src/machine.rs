//! Where a run takes place.

use std::fs;
use std::thread::available_parallelism;

use crate::results::Machine;

/// Looks at this machine; what the system does not tell stays empty.
pub fn this() -> Machine {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let kernel = rustix::system::uname();
    let name = named(&read("/etc/os-release"), "PRETTY_NAME", '=')
        .trim_matches('"')
        .to_owned();
    let version = format!(
        "{} {} ({})",
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy(),
        kernel.machine().to_string_lossy()
    );
    Machine {
        cpus: available_parallelism().map_or(0, usize::from),
        cpu_model: named(&read("/proc/cpuinfo"), "model name", ':'),
        memory_mib: kibibytes(&named(&read("/proc/meminfo"), "MemTotal", ':')) / 1024,
        system: [name, version]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// The value behind the first line's name.
fn named(text: &str, name: &str, separator: char) -> String {
    let mut lines = text.lines().filter_map(|line| line.split_once(separator));
    let found = lines.find(|(before, _)| before.trim() == name);
    found
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}

fn kibibytes(text: &str) -> u64 {
    text.trim_end_matches(" kB").parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_says_what_it_is() {
        let machine = this();
        assert!(machine.cpus > 0);
        assert!(
            machine.system.contains(std::env::consts::ARCH),
            "{}",
            machine.system
        );
        if cfg!(target_os = "linux") {
            assert!(machine.memory_mib > 0);
        }
    }

    #[test]
    fn values_are_found_by_their_names() {
        let text = "processor\t: 0\nmodel name\t: Some: CPU\nmodel name\t: Other\n";
        assert_eq!(named(text, "model name", ':'), "Some: CPU");
        assert_eq!(named(text, "model", ':'), "");
        assert_eq!(kibibytes("16384 kB"), 16384);
    }
}
