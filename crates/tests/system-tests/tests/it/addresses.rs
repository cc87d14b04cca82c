//! A program that cannot listen says where, and what to do.

use std::net::TcpListener;
use std::process::{Command, Output};

use stack::program;

fn run(name: &str, listen: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program(name));
    command.args(["--listen", listen]).current_dir(folder.path());
    command.output().unwrap()
}

#[test]
fn an_address_that_cannot_be_had_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken
        .local_addr()
        .map(|address| (taken, address.to_string()))
        .unwrap();
    for name in [
        "accounts",
        "endpoints",
        "metrics",
        "page",
        "naive-page",
        "canary",
        "traces",
    ] {
        // 192.0.2.1 is for documentation: no machine has it.
        for (listen, why) in [(&*taken.1, "in use"), ("192.0.2.1:80", "no such address")] {
            let ended = run(name, listen);
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(!ended.status.success(), "{name}");
            for word in [listen, why, "--listen"] {
                assert!(said.contains(word), "{name} does not say {word}: {said}");
            }
        }
    }
}
