//! The environment of our services in `docker-compose.yml`: a variable that a program does not know would be ignored.

use std::process::Command;

use serde_yaml_ng::Value;
use stack::program;

use super::clone;

#[test]
fn docker_compose_sets_no_variable_that_a_program_does_not_know() {
    let compose = std::fs::read_to_string(clone().join("docker-compose.yml")).unwrap();
    let mut compose: Value = serde_yaml_ng::from_str(&compose).unwrap();
    // Once for each level: what is merged may itself merge something.
    while serde_yaml_ng::to_string(&compose).unwrap().contains("<<:") {
        compose.apply_merge().unwrap();
    }
    let services = compose["services"].as_mapping().unwrap();
    let ours: Vec<_> = services
        .iter()
        .filter(|(_, service)| service["image"] == "reliable-caching:local" && !is_script(service))
        .collect();
    assert_eq!(
        ours.len(),
        8,
        "three sources, the pages in three services, the seed and the canary"
    );
    for (name, service) in ours {
        let help = help_of(&service["command"]);
        let environment = service["environment"].as_mapping().unwrap();
        for variable in environment.keys().map(|variable| variable.as_str().unwrap()) {
            let known = help.contains(&format!("[env: {variable}="));
            assert!(
                known,
                "{name:?} is given {variable}, and its program does not know it:\n{help}"
            );
        }
    }
}

/// Whether it runs a script of `deploy/image`, not a program.
fn is_script(service: &Value) -> bool {
    let name = service["command"][0].as_str().unwrap();
    clone().join("deploy/image").join(name).exists()
}

/// What `accounts --help` prints, or `lab seed --help`: every setting names its variable there.
fn help_of(command: &Value) -> String {
    let mut words = command
        .as_sequence()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap());
    let mut help = Command::new(program(words.next().unwrap()));
    help.args(words.take_while(|word| !word.starts_with('-')))
        .arg("--help");
    let output = help.output().unwrap();
    assert!(output.status.success(), "{help:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
