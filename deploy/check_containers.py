"""Runs docker-compose.yml, breaks the stack, and checks what readers get.

Called by scripts/check-containers with an engine whose images are there. Prints each check, and ends with 1 if one failed.

Each check goes on where the one before it ended, and leaves a stack that serves. So a failure should not lead to others.
"""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "check-containers"
BALANCER, PAGES, ACCOUNTS, PROMETHEUS = 8080, (8180, 8280), 8081, 9090
CLUSTER = {"STREAM_REPLICAS": "3"}
NODES = ("nats-1", "nats-2", "nats-3")
LEFT_BEHIND = "canary 0123456789abcdef 3"
PROGRAMS = ("accounts", "endpoints", "metrics", "page", "canary", "lab")
READS = 20


class Stack:
    """One project of docker compose."""

    def __init__(self, folder=ROOT, project=PROJECT, environment=None, arguments=()):
        self.folder, self.project = folder, project
        self.environment, self.arguments = environment or {}, arguments

    def try_compose(self, *arguments):
        command = ["docker", "compose", "--project-name", self.project, *self.arguments, *arguments]
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=1800)

    def compose(self, *arguments):
        done = self.try_compose(*arguments)
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}: {last_lines(done.stderr)}"
        return done.stdout

    def up(self, *arguments):
        # What cannot be pulled was built before.
        return self.compose("up", "--detach", "--pull", "never", "--no-build", *arguments)

    def down(self):
        self.try_compose("--profile", "*", "down", "--volumes", "--timeout", "3")


def last_lines(text):
    return " | ".join(text.strip().splitlines()[-3:])


def request(port, path="/", method="GET", body=None, headers=None, timeout=15):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection):
        connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        answer.body = answer.read()
        return answer


def read_json(port, path):
    return json.loads(request(port, path, headers={"Accept": "application/json"}).body)


def eventually(what, seconds, check):
    """Calls `check` until it returns something true; what it raised last, if it never does."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            if result := check():
                return result
            last = "no"
        except (AssertionError, OSError, http.client.HTTPException, ValueError, KeyError) as error:
            last = repr(error)
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds} s ({last})")


def accounts():
    found, after = [], 0
    while after is not None:
        part = read_json(ACCOUNTS, f"/accounts?after={after}")
        found += part["accounts"]
        after = part.get("next")
    return found


def read_many(most_seconds, count=READS):
    """So many pages through the balancer: who served them. Each must be a page, in time."""
    served, account = [], an_account()
    for number in range(count):
        began = time.monotonic()
        answer = request(BALANCER, f"/accounts/{account}")
        took = time.monotonic() - began
        what = f"read {number + 1} of {count}"
        assert answer.status == 200 and answer.getheader("Fresh-As-Of"), f"{what} is no page: {answer.status} {answer.body[:60]}"
        assert took < most_seconds, f"{what} took {took:.1f} s"
        served.append(answer.getheader("Served-By"))
    return served


def an_account():
    own = (account["id"] for account in accounts() if not account["name"].startswith("canary "))
    return next(own, None) or json.loads(request(ACCOUNTS, "/accounts", "POST", {"name": "made by the check"}).body)["id"]


def assert_writes_arrive(seconds=30):
    """A change comes to each replica by its feed: it shows the change from its cache."""
    account, name = an_account(), f"renamed at {time.time()}"
    eventually("a write is accepted", seconds, lambda: rename(account, name))
    later = datetime.now(UTC) + timedelta(seconds=1)
    for port in PAGES:
        def shown(port=port):
            answer = request(port, f"/accounts/{account}", headers={"Accept": "application/json"})
            assert answer.status == 200, answer.status
            status, claimed = answer.getheader("Cache-Status"), answer.getheader("Fresh-As-Of")
            assert json.loads(answer.body)["account"]["name"] == name, "the old name"
            # What is composed only once is known to be complete later by watermarks, which come by the same way as the events.
            assert "hit" in status and datetime.fromisoformat(claimed) > later, (status, claimed)
            return True
        eventually(f"a write shows in the cache of {port}", seconds, shown)


def rename(account, name):
    answer = request(ACCOUNTS, f"/accounts/{account}", "PATCH", {"name": name})
    assert answer.status == 200, f"{answer.status} {answer.body[:200]}"
    return True


def until_both_serve(seconds=20):
    eventually("both replicas serve", seconds, lambda: len(set(read_many(5, 8))) == 2)


def states(stack):
    lines = stack.compose("ps", "--all", "--format", "json").splitlines()
    return {state["Service"]: state for state in map(json.loads, lines)}


def until_healthy(stack, seconds=60):
    def healthy():
        bad = [name for name, state in states(stack).items()
               if state["Health"] != "healthy" and (state["State"], state["ExitCode"]) != ("exited", 0)]
        assert not bad, bad
        return True
    eventually("every container is healthy", seconds, healthy)


# The checks, in their order.


def dockerfile_takes_the_newest_sources(_):
    """The same Dockerfile with a tiny workspace of the same packages, whose second version has an older date than the first."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name in ("Dockerfile", ".dockerignore"):
            shutil.copy(ROOT / name, folder)
        shutil.copytree(ROOT / "deploy/image", folder / "deploy/image")
        members = ", ".join(f'"crates/{name}"' for name in PROGRAMS)
        (folder / "Cargo.toml").write_text(f'[workspace]\nresolver = "3"\nmembers = [{members}]\n')
        lock = "version = 4\n" + "".join(f'\n[[package]]\nname = "{name}"\nversion = "0.1.0"\n' for name in sorted(PROGRAMS))
        (folder / "Cargo.lock").write_text(lock)
        for name in PROGRAMS:
            (folder / "crates" / name / "src").mkdir(parents=True)
            (folder / "crates" / name / "Cargo.toml").write_text(f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2024"\n')
        (folder / "compose.yml").write_text(f"services: {{tiny: {{image: {PROJECT}-tiny, build: .}}}}\n")
        tiny = Stack(folder, f"{PROJECT}-tiny")
        for version, date in (("first", 2_000_000_000 - 1e9), ("second", 1e9)):
            for name in PROGRAMS:
                path = folder / "crates" / name / "src/main.rs"
                path.write_text(f'fn main() {{ println!("{version}"); }}\n')
                os.utime(path, (date, date))
            tiny.compose("build", "--quiet")
            said = tiny.compose("run", "--rm", "tiny").strip()
            assert said == version, f"built with the {version} sources, the program is of the {said}"
        tiny.down()
        subprocess.run(["docker", "image", "rm", "--force", f"{PROJECT}-tiny"], capture_output=True)


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


@contextlib.contextmanager
def clone(name, umask=0o022):
    """A copy of what docker compose needs of the clone, made with that umask."""
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        folder = Path(parent) / name
        before = os.umask(umask)
        try:
            for part in ("deploy", "data/uptime"):
                shutil.copytree(ROOT / part, folder / part, copy_function=shutil.copyfile)
            for part in ("docker-compose.yml", ".env"):
                shutil.copyfile(ROOT / part, folder / part)
        finally:
            os.umask(before)
        for path in [folder, *folder.rglob("*")]:
            path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        yield folder


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
            stack.compose("build")
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
