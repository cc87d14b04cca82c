"""The stack of docker-compose.yml as deploy/check_containers.py drives it: docker compose, a reader and a writer."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "check-containers"
BALANCER, PAGES, ACCOUNTS, PROMETHEUS = 8080, (8180, 8280), 8081, 9090
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
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}: {last_lines(done.stdout + done.stderr)}"
        return done.stdout

    def up(self, *arguments):
        # What cannot be pulled was built before.
        return self.compose("up", "--detach", "--pull", "never", "--no-build", *arguments)

    def down(self):
        self.try_compose("--profile", "*", "down", "--volumes", "--timeout", "3")


def last_lines(text):
    return " | ".join(text.strip().splitlines()[-5:])


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
