/*
 * `npm run bench -- NAME`: runs one benchmark against the built program. With `--claim` it exits 1 where a claim of the
 * benchmark does not hold; a claim that was not measured, because the machine lacks what it takes, is told and not held.
 */

import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

/** Loaded when it is wanted: a benchmark may need what another does not. */
const NAMES = ['kv-read', 'kv-write', 'transit', 'token', 'login', 'lease', 'list', 'propagation'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    warmup: { type: 'string', default: '2' },
    clients: { type: 'string', default: '1,64' },
    only: { type: 'string' },
    program: { type: 'string' },
    profile: { type: 'string' },
    json: { type: 'string' },
    'no-peer': { type: 'boolean', default: false },
    claim: { type: 'boolean', default: false },
  },
});
const [name, ...rest] = positionals;
if (!NAMES.includes(name) || rest.length > 0) {
  await usage();
  process.exit(name === undefined ? 0 : 2);
}
const options = {
  seconds: positive('seconds'),
  rounds: positive('rounds'),
  warmup: positive('warmup'),
  clients: values.clients.split(',').map(Number),
  peer: !values['no-peer'],
  ...only('only', 'program', 'profile'),
};
const { run } = await import(`./${name}.mjs`);
const result = await run(options);
if (values.json !== undefined) {
  const { seconds, rounds } = options;
  await writeFile(
    values.json,
    `${JSON.stringify({ bench: name, at: new Date().toISOString(), seconds, rounds, ...result }, null, 2)}\n`,
  );
}
if (values.claim && result.claims.some(({ held }) => held === false)) process.exitCode = 1;

function positive(option) {
  const number = Number(values[option]);
  if (!(number > 0)) {
    process.stderr.write(`--${option} takes a number above 0\n`);
    process.exit(2);
  }
  return number;
}

function only(...names) {
  return Object.fromEntries(
    names.filter((one) => values[one] !== undefined).map((one) => [one, values[one]]),
  );
}

async function usage() {
  const lines = [
    'npm run bench -- NAME [FLAGS]',
    '',
    '--seconds N     how long each contender is measured in a round (3)',
    '--rounds N      how many rounds (3); figures are medians of them',
    '--warmup N      seconds of each contender that do not count (2)',
    '--clients LIST  numbers of clients (1,64)',
    '--only TEXT     only the variants of our server whose name holds it, "audit off" for instance',
    '--program FILE  another build of holdfast.js',
    '--profile DIR   writes a CPU profile of our server there',
    '--json FILE     writes the figures there',
    '--no-peer       leaves the peer out',
    '--claim         exits 1 where a claim does not hold',
    '',
  ];
  for (const one of NAMES) lines.push(`${one.padEnd(14)}  ${(await import(`./${one}.mjs`)).summary}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}
