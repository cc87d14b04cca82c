"""Runs nginx with the load balancer's own configuration in front of two stand-ins for the page.

Called by scripts/check-deploy with nginx's path. Addresses and the folder for temporary files are all that is replaced.
"""

import http.client
import re
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONFIGURATION = Path(__file__).resolve().parent / "nginx/nginx.conf"
BROUGHT = {
    "Consistency-Token": "accounts/7/a1=9",
    "If-None-Match": '"x"',
    "Cache-Control": "no-cache",
    "Cache-Strategy": "none",
    "Accept": "application/json",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
SAID = {
    "Consistency-Token": "accounts/7/a1=10",
    "ETag": '"y"',
    "Cache-Control": "private, no-cache",
    "Cache-Status": "page; hit",
    "Fresh-As-Of": "2026-01-01T00:00:00.000Z",
    "Age": "1",
    "Server-Timing": "cache;dur=0.1",
    "Trace-Id": "0af7651916cd43dd8448eb211c80319c",
}
NAMES = ["page-1", None]  # one replica names itself, the other does not


class Replica:
    """Answers every request alike, and remembers them, until it is gone."""

    def __init__(self, name):
        self.received = received = []
        self.gone = gone = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if gone.is_set():
                    # A connection that was kept open ends without an answer.
                    self.close_connection = True
                    return
                received.append(dict(self.headers))
                self.send_response(200)
                for header, value in {**SAID, "Content-Length": "2"}.items():
                    self.send_header(header, value)
                if name:
                    self.send_header("Served-By", name)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def leave(self):
        self.gone.set()
        self.server.shutdown()
        self.server.server_close()


def free_port():
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_address[1]


def configuration(folder, port, replicas):
    text = CONFIGURATION.read_text()
    text, listens = re.subn(r"listen 8080;", f"listen 127.0.0.1:{port};", text)
    # Debian's nginx is older than `resolve`, and here is no name service: the addresses stand in for the one name.
    addresses = "\n".join(rf"server 127.0.0.1:{replica.port}\1;" for replica in replicas)
    text, servers = re.subn(r"server pages:8080 resolve([^;]*);", addresses, text)
    assert (listens, servers) == (1, 1), "nginx.conf listens elsewhere, or asks for other replicas"
    path = Path(folder) / "nginx.conf"
    path.write_text(text.replace("/tmp/", f"{folder}/"))
    return path


def get(port, path="/accounts/7"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers=BROUGHT)
    answer = connection.getresponse()
    answer.read()
    return answer


def until_listening(process, port):
    for _ in range(500):
        assert process.poll() is None, "nginx ended"
        try:
            return get(port, "/balancer")
        except OSError:
            time.sleep(0.01)
    raise AssertionError("nginx does not listen")


def check(process, port, replicas):
    assert until_listening(process, port).status == 200
    served_by = set()
    for _ in range(8):
        answer = get(port)
        changed = {name: answer.getheader(name) for name, value in SAID.items() if answer.getheader(name) != value}
        assert answer.status == 200 and not changed, f"changed on its way to the reader: {changed}"
        served_by.add(answer.getheader("Served-By"))
    received = [len(replica.received) for replica in replicas]
    # nginx's workers count their turns each for themselves.
    assert sum(received) == 8 and min(received) > 0, f"8 requests reached the replicas as {received}"
    expected = {name or f"127.0.0.1:{replica.port}" for name, replica in zip(NAMES, replicas)}
    assert served_by == expected, f"told to be served by {served_by}"
    for headers in replicas[0].received + replicas[1].received:
        lost = {name for name, value in BROUGHT.items() if headers.get(name) != value}
        assert not lost, f"lost on its way to the page: {lost}"
        assert headers["Host"] == f"127.0.0.1:{port}", headers["Host"]
    replicas[0].leave()
    for _ in range(8):
        assert get(port).status == 200, "a replica that is gone is noticed by readers"


def main(nginx):
    replicas = [Replica(name) for name in NAMES]
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = configuration(folder, port, replicas)
        # In the foreground, and logging to stderr, as in the container.
        process = subprocess.Popen([nginx, "-e", "stderr", "-p", folder, "-c", str(path), "-g", "daemon off;"],
                                   stderr=subprocess.PIPE, text=True)
        try:
            check(process, port, replicas)
        except AssertionError as fault:
            print(f"deploy/nginx/nginx.conf: {fault}", file=sys.stderr)
            process.terminate()
            print(process.communicate(timeout=10)[1], file=sys.stderr)
            return 1
        finally:
            process.terminate()
            process.wait(timeout=10)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
