"""Points tools that nobody here wrote at the contracts and at running services. Called by scripts/check-foreign.

Arguments: the nats-server, the folder of the services' programs, the folder of the tools.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONTRACTS = HERE.parent
SERVICES = ["accounts", "endpoints", "metrics", "page"]
# How many requests schemathesis generates for each operation and phase.
EXAMPLES = "25"


def step(what, command, **options):
    """Runs a tool. What it prints is shown if it fails."""
    began = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        print(done.stdout)
        sys.exit(f"check-foreign: {what} failed; what it says is above. Again: {' '.join(map(str, command))}")
    print(f"check-foreign: {what}: ok ({time.monotonic() - began:.1f} s)", flush=True)


class Stack:
    """A broker and the four services, on free ports."""

    def __init__(self, nats_server, programs, folder):
        self.processes = []
        ports = folder / "ports"
        ports.mkdir()
        broker = [nats_server, "-js", "-sd", folder / "js", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", ports]
        self.start(broker, folder / "nats.log")
        files = self.until(lambda: list(ports.glob("*.ports")), "nats-server")
        self.nats = self.until(lambda: json.loads(files[0].read_text())["nats"][0], "nats-server")
        self.urls = {}
        for name in SERVICES[:3]:
            self.serve(programs, folder, name, ["--database", folder / f"{name}.db"])
        sources = [word for name in SERVICES[:3] for word in (f"--{name}-url", self.urls[name])]
        self.serve(programs, folder, "page", [*sources, "--allow-override"])

    def serve(self, programs, folder, name, arguments):
        log = folder / f"{name}.log"
        usual = ["--listen", "127.0.0.1:0", "--nats-url", self.nats, "--log-format", "json"]
        self.start([programs / name, *usual, *arguments], log)
        address = self.until(lambda: address_in(log), name)
        self.urls[name] = f"http://{address}"

    def start(self, command, log):
        self.processes.append(subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT))

    def until(self, look, name):
        for _ in range(200):
            try:
                found = look()
            except (OSError, ValueError, IndexError, KeyError):
                found = None
            if found:
                return found
            time.sleep(0.1)
        sys.exit(f"check-foreign: {name} does not start")

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(20)


def address_in(log):
    for line in log.read_text().splitlines():
        if '"listening"' in line:
            return json.loads(line)["address"]
    return None


def seed(stack):
    """Twelve accounts with an endpoint each, so that generated ids meet something and sequences reach two digits."""
    for number in range(12):
        account = post(stack.urls["accounts"] + "/accounts", {"name": f"Account {number}"})["id"]
        endpoint = {"name": "Home", "url": "https://example.org/"}
        post(f"{stack.urls['endpoints']}/accounts/{account}/endpoints", endpoint)


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def check_documents(python, node):
    for name in SERVICES:
        document = CONTRACTS / "openapi" / f"{name}.json"
        step(f"openapi-spec-validator: {name}", [python / "openapi-spec-validator", document])
        step(f"redocly: {name}", [node / "redocly", "lint", "--extends=recommended", document])


def check_clients(python, node, work, urls):
    environment = {**os.environ, "PATH": f"{python}:{os.environ['PATH']}", "PYTHONPATH": str(work)}
    for name in SERVICES:
        document = CONTRACTS / "openapi" / f"{name}.json"
        out = work / f"{name}_client"
        generate = [python / "openapi-python-client", "generate", "--path", document, "--meta", "none", "--fail-on-warning"]
        step(f"openapi-python-client: {name}", [*generate, "--output-path", out], env=environment)
        step(f"openapi-typescript: {name}", [node / "openapi-typescript", document, "-o", work / f"{name}.ts"])
    step("a round by the Python clients", [python / "python", HERE / "round.py", *urls], env=environment)
    shutil.copy(HERE / "round.ts", work)
    shutil.copy(HERE / "package.json", work)
    (work / "node_modules").symlink_to(node.parent)
    build = ["--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck"]
    step("tsc", [node / "tsc", *build, "round.ts"], cwd=work)
    step("a round by the TypeScript clients", ["node", "round.js", *urls], cwd=work)


def main(nats_server, programs, tools):
    # So that what it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    python, node = tools / "python/bin", tools / "node/node_modules/.bin"
    began = time.monotonic()
    check_documents(python, node)
    asyncapi = tools / "node/asyncapi.mjs"
    shutil.copy(HERE / "asyncapi.mjs", asyncapi)
    step("the AsyncAPI parser", ["node", asyncapi, CONTRACTS / "asyncapi.json"])
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        stack = Stack(nats_server, programs, work)
        try:
            urls = [stack.urls[name] for name in SERVICES]
            seed(stack)
            check_clients(python, node, work, urls)
            for name, url in zip(SERVICES, urls, strict=True):
                run = [python / "schemathesis", "--config-file", HERE / "schemathesis.toml", "run", f"{url}/openapi.json"]
                step(f"schemathesis: {name}", [*run, "--checks", "all", "--max-examples", EXAMPLES], cwd=work)
            step("caches: requests-cache and hishel", [python / "python", HERE / "caches.py", *urls])
            step("nats-py and the CloudEvents SDK", [python / "python", HERE / "messages.py", stack.nats])
        finally:
            stack.stop()
    print(f"check-foreign: all of it in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
