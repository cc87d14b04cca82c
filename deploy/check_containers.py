"""Runs docker-compose.yml, breaks the stack, and checks what readers get.

Called by scripts/check-containers with an engine whose images are there. Prints each check, and ends with 1 if one failed.

Each check goes on where the one before it ended, and leaves a stack that serves. So a failure should not lead to others.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from container_stack import (
    ACCOUNTS,
    BALANCER,
    PROJECT,
    PROMETHEUS,
    READS,
    ROOT,
    Stack,
    accounts,
    assert_writes_arrive,
    clone,
    eventually,
    read_json,
    read_many,
    request,
    states,
    until_both_serve,
    until_healthy,
)

CLUSTER = {"STREAM_REPLICAS": "3"}
NODES = ("nats-1", "nats-2", "nats-3")
LEFT_BEHIND = "canary 0123456789abcdef 3"
PROGRAMS = ("accounts", "endpoints", "metrics", "page", "canary", "lab")


def dockerfile_takes_the_newest_sources(_):
    """The same Dockerfile with a tiny workspace of the same packages, whose second version has an older date than the first."""
    with tempfile.TemporaryDirectory() as folder:
        tiny = Stack(Path(folder), f"{PROJECT}-tiny")
        make_tiny_workspace(tiny.folder)
        try:
            for version, date in (("first", 1_500_000_000), ("second", 1_000_000_000)):
                for path in tiny.folder.glob("crates/*/src/main.rs"):
                    path.write_text(f'fn main() {{ println!("{version}"); }}\n')
                    os.utime(path, (date, date))
                tiny.compose("build", "--quiet")
                said = tiny.compose("run", "--rm", "tiny").strip()
                assert said == version, f"built with the {version} sources, the program is of the {said}"
        finally:
            tiny.down()
            subprocess.run(["docker", "image", "rm", "--force", f"{PROJECT}-tiny"], capture_output=True)


def make_tiny_workspace(folder):
    for name in ("Dockerfile", ".dockerignore"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "deploy/image", folder / "deploy/image")
    members = ", ".join(f'"crates/{name}"' for name in PROGRAMS)
    (folder / "Cargo.toml").write_text(f'[workspace]\nresolver = "3"\nmembers = [{members}]\n')
    packages = [f'name = "{name}"\nversion = "0.1.0"\n' for name in sorted(PROGRAMS)]
    (folder / "Cargo.lock").write_text("version = 4\n" + "".join(f"\n[[package]]\n{package}" for package in packages))
    for name in PROGRAMS:
        source = folder / "crates" / name / "src"
        source.mkdir(parents=True)
        (source / "main.rs").touch()
        (source.parent / "Cargo.toml").write_text(f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2024"\n')
    (folder / "compose.yml").write_text(f"services: {{tiny: {{image: {PROJECT}-tiny, build: .}}}}\n")


def one_service_builds_the_image(stack):
    services = json.loads(stack.compose("--profile", "*", "config", "--format", "json"))["services"]
    builders = [name for name, service in services.items() if "build" in service]
    assert len(builders) == 1, f"{builders} each build the same image"


def two_clones_are_two_projects(_):
    with clone("first") as first, clone("second") as second:
        names = set()
        for folder in (first, second):
            config = subprocess.run(["docker", "compose", "config", "--format", "json"], cwd=folder, capture_output=True, text=True)
            names.add(json.loads(config.stdout)["name"])
    assert len(names) == 2, f"both are the project {names}"


def a_clone_for_its_owner_alone_says_so(_):
    with clone("private", umask=0o077) as folder:
        stack = Stack(folder, f"{PROJECT}-private")
        try:
            assert_settings_are_refused(stack, "chmod")
        finally:
            stack.down()


def a_password_that_fits_into_no_url_says_so(_):
    stack = Stack(environment={"NATS_PAGE_PASSWORD": "p@ss/word"})
    try:
        assert_settings_are_refused(stack, "NATS_PAGE_PASSWORD")
    finally:
        stack.down()


def assert_settings_are_refused(stack, word):
    done = stack.try_compose("up", "--detach", "--pull", "never", "--no-build", "accounts")
    assert done.returncode != 0, "docker compose up succeeds"
    logged = [line for line in stack.compose("logs", "--no-log-prefix", "settings").splitlines() if line]
    assert word in logged[-1] and len(logged) <= 2, logged
    running = [name for name, state in states(stack).items() if state["State"] in ("running", "restarting")]
    assert not running, f"{running} run all the same"


def a_password_of_digits_works(_):
    stack = Stack(environment={"NATS_ACCOUNTS_PASSWORD": "12345678"})
    try:
        stack.up("accounts")
        eventually("accounts is connected to the broker", 20, lambda: connections(stack, "nats") > 0)
    finally:
        stack.down()


def a_broker_that_cannot_start_says_so(_):
    with tempfile.TemporaryDirectory() as folder:
        override = Path(folder) / "override.yml"
        override.write_text("services: {nats: {command: [-c, /nowhere]}}\n")
        files = ("--file", str(ROOT / "docker-compose.yml"), "--file", str(override))
        stack = Stack(arguments=files)
        try:
            done = stack.try_compose("up", "--detach", "--pull", "never", "--no-build", "accounts")
            assert done.returncode != 0, "docker compose up succeeds"
            logged = stack.compose("logs", "--no-log-prefix", "broker")
            assert "No broker answers" in logged, logged
        finally:
            stack.down()


def the_stack_starts(stack):
    stack.up("accounts")
    # As a canary that was killed leaves it; the seed must not take it for an account of a user.
    eventually("accounts takes an account", 20, lambda: request(ACCOUNTS, "/accounts", "POST", {"name": LEFT_BEHIND}).status == 201)
    stack.up()
    until_healthy(stack)


def the_seed_overlooks_accounts_of_canaries(_):
    count = sum(not account["name"].startswith("canary ") for account in accounts())
    assert count == 7, f"{count} accounts are seeded"


def pages_answer_and_name_themselves(_):
    assert request(BALANCER).status == 200
    served = set(read_many(5))
    assert served == {"page-1", "page-2"}, f"served by {served}"


def writes_arrive(_):
    assert_writes_arrive()


def every_target_is_scraped(_):
    def up():
        targets = read_json(PROMETHEUS, "/api/v1/targets")["data"]["activeTargets"]
        bad = [f"{target['scrapeUrl']}: {target['lastError']}" for target in targets if target["health"] != "up"]
        assert len(targets) == 7 and not bad, bad
        return True
    eventually("Prometheus reaches its targets", 30, up)


def the_broker_knows_its_memory(stack):
    assert stack.compose("exec", "nats", "printenv", "GOMEMLIMIT").strip() == "400MiB"


def accounts_of_earlier_canaries_go(_):
    eventually("the account is deleted", 60, lambda: LEFT_BEHIND not in [account["name"] for account in accounts()])


def a_replica_that_hangs_costs_readers_little(stack):
    stack.compose("pause", "page-1")
    try:
        began = time.monotonic()
        read_many(2.8)
        took = time.monotonic() - began
        assert took < 8, f"{READS} reads took {took:.1f} s"
    finally:
        stack.compose("unpause", "page-1")
    until_both_serve()


def readers_do_not_notice_a_stopped_replica(stack):
    until_both_serve()
    with ThreadPoolExecutor() as readers:
        # Some seconds of reads, before and after.
        reading = [readers.submit(read_many, 2, 500) for _ in range(4)]
        stack.compose("stop", "--timeout", "3", "page-1")
        try:
            for reads in reading:
                reads.result()
            assert len(set(read_many(2))) == 1
        finally:
            stack.compose("start", "page-1")
    until_both_serve()


def the_balancer_starts_while_a_replica_is_stopped(stack):
    stack.compose("stop", "page-1")
    stack.compose("restart", "--timeout", "3", "balancer")
    try:
        eventually("the balancer answers", 15, lambda: request(BALANCER, "/balancer").status == 200)
        eventually("pages come", 5, lambda: read_many(2, 4))
    finally:
        stack.compose("start", "page-1")
    until_both_serve()


def the_balancer_follows_replicas_that_were_created_again(stack):
    until_both_serve(40)
    stack.compose("rm", "--stop", "--force", "page-1", "page-2", "canary")
    for service in ("canary", "page-2", "page-1"):
        stack.up("--no-deps", service)
    eventually("a page comes", 15, lambda: read_many(2, 1))
    until_both_serve()
    read_many(2)


def replicas_can_be_added(stack):
    stack.up("--no-recreate", "--scale", "page=1")
    eventually("three replicas serve", 30, lambda: len(set(read_many(5, 12))) == 3)
    stack.up("--no-recreate")
    eventually("two replicas serve", 15, lambda: set(read_many(5, 12)) == {"page-1", "page-2"})


def a_change_to_three_brokers_works(stack):
    cluster = Stack(environment=CLUSTER, arguments=("--profile", "cluster"))
    cluster.up()
    until_healthy(cluster)
    assert_writes_arrive()
    assert replicas_of_stream(cluster) == 3
    # The one broker still runs, and nobody uses it.
    assert connections(stack, "nats") == 0


def ask_broker(stack, node, path):
    return stack.compose("exec", node, "wget", "-q", "-O", "-", f"http://127.0.0.1:8222/{path}")


def connections(stack, node):
    return json.loads(ask_broker(stack, node, "connz"))["num_connections"]


def stream(cluster, node):
    answer = json.loads(ask_broker(cluster, node, "jsz?streams=true&config=true"))
    return answer["account_details"][0]["stream_detail"][0]


def replicas_of_stream(cluster):
    return stream(cluster, "nats-1")["config"]["num_replicas"]


def the_stack_outlives_the_leader_of_the_stream(_):
    cluster = Stack(environment=CLUSTER, arguments=("--profile", "cluster"))
    leader = stream(cluster, "nats-1")["cluster"]["leader"]
    other = next(node for node in NODES if node != leader)
    cluster.compose("kill", leader)
    try:
        eventually("another leads", 30, lambda: stream(cluster, other)["cluster"]["leader"] not in (leader, "", None))
        assert_writes_arrive()
    finally:
        cluster.compose("start", leader)
    until_healthy(cluster)


def a_change_back_to_one_broker_works(stack):
    stack.up()
    until_healthy(stack)
    assert_writes_arrive()


def nothing_stays(stack):
    stack.down()
    for kind in ("container", "volume", "network"):
        listing = ["docker", kind, "ls", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}"]
        left = subprocess.run(listing + (["--all"] if kind == "container" else []), capture_output=True, text=True).stdout.split()
        assert not left, f"{kind}: {left}"


CHECKS = [
    dockerfile_takes_the_newest_sources,
    one_service_builds_the_image,
    two_clones_are_two_projects,
    a_clone_for_its_owner_alone_says_so,
    a_password_that_fits_into_no_url_says_so,
    a_password_of_digits_works,
    a_broker_that_cannot_start_says_so,
    the_stack_starts,
    the_seed_overlooks_accounts_of_canaries,
    pages_answer_and_name_themselves,
    writes_arrive,
    every_target_is_scraped,
    the_broker_knows_its_memory,
    a_replica_that_hangs_costs_readers_little,
    readers_do_not_notice_a_stopped_replica,
    the_balancer_starts_while_a_replica_is_stopped,
    the_balancer_follows_replicas_that_were_created_again,
    accounts_of_earlier_canaries_go,
    replicas_can_be_added,
    a_change_to_three_brokers_works,
    the_stack_outlives_the_leader_of_the_stream,
    a_change_back_to_one_broker_works,
    nothing_stays,
]


def main(arguments):
    stack, failed = Stack(), 0
    try:
        if "--dockerfile" in arguments:
            began = time.monotonic()
            stack.compose("--progress", "plain", "build")
            print(f"the Dockerfile took {time.monotonic() - began:.0f} s", flush=True)
        for check in CHECKS:
            began, words = time.monotonic(), check.__name__.replace("_", " ")
            try:
                check(stack)
                result, why = "ok     ", ""
            except Exception as error:  # each check is worth its own line, whatever happened to another
                failed += 1
                result, why = "FAILED ", f"\n         {error}"
            print(f"{result} {words} ({time.monotonic() - began:.0f} s){why}", flush=True)
    finally:
        stack.down()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
