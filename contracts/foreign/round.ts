// A round of writes and reads by clients whose types are generated from the OpenAPI documents.
// Arguments: the URLs of accounts, endpoints, metrics and the page.
import createClient from 'openapi-fetch';
import type { paths as Accounts } from './accounts.js';
import type { paths as Endpoints } from './endpoints.js';
import type { paths as Metrics } from './metrics.js';
import type { paths as Page } from './page.js';

const [accountsUrl, endpointsUrl, metricsUrl, pageUrl] = process.argv.slice(2);
const accounts = createClient<Accounts>({ baseUrl: accountsUrl });
const endpoints = createClient<Endpoints>({ baseUrl: endpointsUrl });
const metrics = createClient<Metrics>({ baseUrl: metricsUrl });
const page = createClient<Page>({ baseUrl: pageUrl });

function expect(actual: unknown, wanted: unknown, what: string): void {
  if (actual !== wanted) throw new Error(`${what}: ${JSON.stringify(actual)}, not ${JSON.stringify(wanted)}`);
}

const created = await accounts.POST('/accounts', { body: { name: 'By TypeScript' } });
expect(created.response.status, 201, 'an account is created');
const id = created.data!.id;
const etag = created.response.headers.get('etag')!;

const added = await endpoints.POST('/accounts/{id}/endpoints', {
  params: { path: { id } },
  body: { name: 'Home', url: 'https://example.org/' },
});
expect(added.response.status, 201, 'an endpoint is added');

const recorded = await metrics.POST('/accounts/{id}/samples', {
  params: { path: { id } },
  body: { samples: [{ endpoint_id: added.data!.id, state: 'up', status_code: 200, response_ms: 12 }] },
});
expect(recorded.response.status, 201, 'a sample is recorded');

const renamed = await accounts.PATCH('/accounts/{id}', {
  params: { path: { id }, header: { 'If-Match': etag } },
  body: { name: 'Renamed by TypeScript' },
});
expect(renamed.response.status, 200, 'the account is renamed');
const again = await accounts.PATCH('/accounts/{id}', {
  params: { path: { id }, header: { 'If-Match': etag } },
  body: { name: 'Lost update' },
});
expect(again.response.status, 412, 'the former version is not changed again');
expect(again.error?.type, '/problems/version-mismatch', 'and the problem has a type');

const token = renamed.response.headers.get('consistency-token')!;
const shown = await page.GET('/accounts/{id}', {
  params: { path: { id }, header: { 'Consistency-Token': token } },
  headers: { accept: 'application/json' },
});
expect(shown.response.status, 200, 'the page is shown');
const body = shown.data as Exclude<typeof shown.data, string | undefined>;
const account = body.account as { name?: string } | null | undefined;
expect(account?.name, 'Renamed by TypeScript', 'the page shows the own write');

const deleted = await accounts.DELETE('/accounts/{id}', { params: { path: { id } } });
expect(deleted.response.status, 204, 'the account is deleted');
const gone = await accounts.GET('/accounts/{id}', { params: { path: { id } } });
expect(gone.response.status, 404, 'and is gone');
