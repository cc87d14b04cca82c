// Parses an AsyncAPI document, and fails if the parser complains.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
for (const { code, path, message } of diagnostics) {
  console.error(code, path.join('.'), message);
}
process.exitCode = document && diagnostics.length === 0 ? 0 : 1;
