//! Whether two runs asked for the same: a ratio depends on the load, and hardly on the machine.

use std::fmt::Debug;

use crate::results::{Kind, Results};

/// What must not differ, and does.
pub(super) fn forbidding(now: &Results, then: &Results) -> Vec<String> {
    let (is, was) = (&now.setup, &then.setup);
    let mut found = Differences(Vec::new());
    if now.kind == Kind::Budget || then.kind == Kind::Budget {
        let why = "a run of waits and ages has one strategy, and so no ratio to judge by";
        found.0.push(why.to_owned());
    }
    if now.kind == Kind::Capacity || then.kind == Kind::Capacity {
        found
            .0
            .push("a search for limits has no rounds, and so no spread to judge by".to_owned());
    }
    found.add("the form of the file", &now.format, &then.format);
    found.add("what was run", &now.kind, &then.kind);
    found.add("the build", &is.profile, &was.profile);
    found.add("the rate", &is.rate_per_second, &was.rate_per_second);
    found.add(
        "the length of a turn in seconds",
        &is.turn_seconds,
        &was.turn_seconds,
    );
    found.add("the accounts", &is.accounts, &was.accounts);
    found.add("the popularity of pages", &is.popularity, &was.popularity);
    found.add("the mix", &is.mix, &was.mix);
    found.add(
        "the reads to each write",
        &is.reads_per_write,
        &was.reads_per_write,
    );
    found.add("the budget in ms", &is.budget_ms, &was.budget_ms);
    found.add("the injected latency", &injected(now), &injected(then));
    found.add("the TTL in seconds", &is.ttl_seconds, &was.ttl_seconds);
    found.add("the compression of the trace", &is.compression, &was.compression);
    found.0
}

/// What a reader should know of, and may differ.
pub(super) fn notable(now: &Results, then: &Results) -> Vec<String> {
    let mut found = Differences(Vec::new());
    found.add("the machine", &machine(now), &machine(then));
    found.add("the stack", &now.setup.stack, &then.setup.stack);
    found.add("the seed", &now.setup.seed, &then.setup.seed);
    found.add("the number of rounds", &now.setup.rounds, &then.setup.rounds);
    found.add(
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
    fn add<T: PartialEq + Debug>(&mut self, what: &str, now: &T, then: &T) {
        if now != then {
            self.0.push(format!("{what} was {then:?} and is {now:?}"));
        }
    }
}
