"""A round of writes and reads by clients that are generated from the OpenAPI documents.

Arguments: the URLs of accounts, endpoints, metrics and the page.
"""

import sys

import accounts_client
import endpoints_client
import httpx
import metrics_client
from accounts_client.api.default import create_account, delete_account, get_account, update_account
from accounts_client.models import CreateAccount, Problem, UpdateAccount
from endpoints_client.api.default import add_endpoint
from endpoints_client.models import AddEndpoint
from metrics_client.api.default import record_samples
from metrics_client.models import RecordSample, RecordSamples


def expect(actual, wanted, what):
    if actual != wanted:
        sys.exit(f"{what}: {actual!r}, not {wanted!r}")


accounts_url, endpoints_url, metrics_url, page_url = sys.argv[1:]
accounts = accounts_client.Client(base_url=accounts_url)
endpoints = endpoints_client.Client(base_url=endpoints_url)
metrics = metrics_client.Client(base_url=metrics_url)

created = create_account.sync_detailed(client=accounts, body=CreateAccount(name="By Python"))
expect(created.status_code, 201, "an account is created")
account, etag = created.parsed.id, created.headers["etag"]

added = add_endpoint.sync_detailed(account, client=endpoints, body=AddEndpoint(name="Home", url="https://example.org/"))
expect(added.status_code, 201, "an endpoint is added")

sample = RecordSample.from_dict({"endpoint_id": added.parsed.id, "state": "up", "status_code": 200, "response_ms": 12})
recorded = record_samples.sync_detailed(account, client=metrics, body=RecordSamples(samples=[sample]))
expect(recorded.status_code, 201, "a sample is recorded")

change = UpdateAccount(name="Renamed by Python")
renamed = update_account.sync_detailed(account, client=accounts, body=change, if_match=etag)
expect(renamed.status_code, 200, "the account is renamed")
again = update_account.sync_detailed(account, client=accounts, body=UpdateAccount(name="Lost update"), if_match=etag)
expect(again.status_code, 412, "the former version is not changed again")
assert isinstance(again.parsed, Problem)
expect(again.parsed.type_, "/problems/version-mismatch", "and the problem has a type")

headers = {"accept": "application/json", "consistency-token": renamed.headers["consistency-token"]}
page = httpx.get(f"{page_url}/accounts/{account}", headers=headers).json()
expect(page["account"]["name"], "Renamed by Python", "the page shows the own write")

expect(delete_account.sync_detailed(account, client=accounts).status_code, 204, "the account is deleted")
expect(get_account.sync_detailed(account, client=accounts).status_code, 404, "and is gone")
