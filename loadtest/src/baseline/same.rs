//! Whether two runs asked for the same: a ratio depends on the load, and hardly on the machine.

use std::fmt::Debug;

use crate::results::{Kind, Results};

/// What must not differ, and does.
pub(super) fn forbidding(now: &Results, then: &Results) -> Vec<String> {
    let (is, was) = (&now.setup, &then.setup);
    let mut found = Differences(Vec::new());
    if now.kind == Kind::Capacity || then.kind == Kind::Capacity {
        found
            .0
            .push("a search for limits has no rounds, and so no spread to judge by".to_owned());
    }
    found.look("the form of the file", &now.format, &then.format);
    found.look("what was run", &now.kind, &then.kind);
    found.look("the build", &is.profile, &was.profile);
    found.look("the rate", &is.rate_per_second, &was.rate_per_second);
    found.look(
        "the length of a turn in seconds",
        &is.turn_seconds,
        &was.turn_seconds,
    );
    found.look("the accounts", &is.accounts, &was.accounts);
    found.look("the popularity of pages", &is.popularity, &was.popularity);
    found.look("the mix", &is.mix, &was.mix);
    found.look(
        "the reads to each write",
        &is.reads_per_write,
        &was.reads_per_write,
    );
    found.look("the budget in ms", &is.budget_ms, &was.budget_ms);
    found.look("the injected latency", &injected(now), &injected(then));
    found.look("the TTL in seconds", &is.ttl_seconds, &was.ttl_seconds);
    found.look("the compression of the trace", &is.compression, &was.compression);
    found.0
}

/// What a reader should know of, and may differ.
pub(super) fn notable(now: &Results, then: &Results) -> Vec<String> {
    let mut found = Differences(Vec::new());
    found.look("the machine", &machine(now), &machine(then));
    found.look("the stack", &now.setup.stack, &then.setup.stack);
    found.look("the seed", &now.setup.seed, &then.setup.seed);
    found.look("the number of rounds", &now.setup.rounds, &then.setup.rounds);
    found.look(
        "the strategies",
        &now.names().join(", "),
        &then.names().join(", "),
    );
    found.0
}

fn injected(results: &Results) -> Vec<String> {
    let injected = results.setup.injected.iter();
    let mut told: Vec<String> = injected
        .map(|it| format!("{} ms into {}", it.latency_ms, it.source))
        .collect();
    told.sort();
    told
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    format!(
        "{} × {}, {} MiB, {}",
        machine.cpus, machine.cpu_model, machine.memory_mib, machine.system
    )
}

struct Differences(Vec<String>);

impl Differences {
    fn look<T: PartialEq + Debug>(&mut self, what: &str, now: &T, then: &T) {
        if now != then {
            self.0.push(format!("{what} was {then:?} and is {now:?}"));
        }
    }
}
