"""Private caches of two libraries in front of every service: after a write nobody is shown what was before it.

Arguments: the URLs of accounts, endpoints, metrics and the page.
"""

import sys
import tempfile
from pathlib import Path

import hishel
import httpx
import requests_cache
from hishel.httpx import CacheClient

accounts, endpoints, metrics, page = sys.argv[1:]


def add_account(name):
    answer = httpx.post(f"{accounts}/accounts", json={"name": name})
    return answer.raise_for_status().json()["id"]


def rename(account, name):
    return httpx.patch(f"{accounts}/accounts/{account}", json={"name": name}).raise_for_status()


def add_endpoint(account, name):
    body = {"name": name, "url": "https://example.org/"}
    return httpx.post(f"{endpoints}/accounts/{account}/endpoints", json=body).raise_for_status()


def record(account, milliseconds):
    sample = {"endpoint_id": 1, "state": "up", "status_code": 200, "response_ms": milliseconds}
    return httpx.post(f"{metrics}/accounts/{account}/samples", json={"samples": [sample]}).raise_for_status()


def is_never_stale(name, get):
    """`get` reads a URL through the cache. Each URL is read, written and read again."""
    account = add_account("before")
    add_endpoint(account, "before")
    record(account, 100)
    absent = account + 1_000_000
    cases = [
        (f"{accounts}/accounts/{account}", lambda: rename(account, "after"), "after"),
        (f"{accounts}/accounts?after={account - 1}", lambda: rename(account, "later"), "later"),
        (f"{endpoints}/accounts/{account}/endpoints", lambda: add_endpoint(account, "after"), "after"),
        (f"{endpoints}/accounts/{absent}/endpoints", lambda: add_endpoint(absent, "after"), "after"),
        (f"{metrics}/accounts/{account}/metrics", lambda: record(account, 4321), "4321"),
        (f"{accounts}/accounts/{account + 1}", lambda: add_account("next"), "next"),
        (f"{page}/?after={account - 1}", lambda: rename(account, "last"), "last"),
    ]
    for url, write, shown in cases:
        get(url)
        get(url)
        write()
        body = get(url)
        if shown not in body:
            sys.exit(f"{name} shows {url} as it was before a write: {body[:400]}")


with tempfile.TemporaryDirectory() as folder:
    session = requests_cache.CachedSession(str(Path(folder) / "requests"), cache_control=True, allowable_codes=(200, 404))
    is_never_stale("requests-cache", lambda url: session.get(url).text)
    storage = hishel.SqliteStorage(database_path=str(Path(folder) / "hishel.db"))
    with CacheClient(storage=storage, rfc=hishel.CacheOptions(shared=False)) as client:
        is_never_stale("hishel", lambda url: client.get(url).text)
