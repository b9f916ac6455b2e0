/*
 * `npm run bench -- NAME`: runs one benchmark against the built program. With `--claim` it exits 1 where a claim of the
 * benchmark does not hold; a claim that was not measured, because the machine lacks what it takes, is told and not held.
 */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeReport } from './parts/report.mjs';

/** Loaded when it is wanted: a benchmark may need what another does not. */
const NAMES = [
  'kv-read',
  'threads',
  'kv-write',
  'transit',
  'token',
  'login',
  'lease',
  'list',
  'list-wide',
  'scale',
  'startup',
  'propagation',
  'operator',
  'operator-shared',
  'soak',
];
/** They take their time, or need a cluster: run by name only. */
const APART = ['propagation', 'operator', 'operator-shared', 'soak'];

// Servers that were started are ended when this process exits, which a signal alone would not let it do.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    warmup: { type: 'string', default: '2' },
    minutes: { type: 'string', default: '10' },
    clients: { type: 'string', default: '1,64' },
    only: { type: 'string' },
    program: { type: 'string' },
    profile: { type: 'string' },
    sizes: { type: 'string' },
    keep: { type: 'string' },
    json: { type: 'string' },
    'no-peer': { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    claim: { type: 'boolean', default: false },
  },
});
const [name, ...rest] = positionals;
if (name === 'report') {
  await writeReport(NAMES);
  process.exit();
}
if (name !== 'all' && !NAMES.includes(name)) {
  await usage();
  process.exit(name === undefined ? 0 : 2);
}
if (rest.length > 0) refuse('one benchmark at a time, or all');
const options = {
  seconds: positive('seconds'),
  rounds: positive('rounds'),
  warmup: positive('warmup'),
  minutes: positive('minutes'),
  clients: numbers('clients'),
  peer: !values['no-peer'],
  ...(values.sizes === undefined ? {} : { sizes: numbers('sizes') }),
  ...only('only', 'program', 'profile', 'keep'),
  smoke: values.smoke,
  ...(values.smoke ? { seconds: 0.3, rounds: 1, warmup: 0.3, clients: [1, 4], sizes: [500] } : {}),
};
let broken = false;
for (const one of name === 'all' ? NAMES.filter((other) => !APART.includes(other)) : [name]) {
  const { run } = await import(`./${one}.mjs`);
  const result = await run(options);
  if (values.json !== undefined) await writeResult(one, result);
  broken ||= result.claims.some(({ held }) => held === false);
  if (name === 'all') console.log('');
}
if (values.claim && broken) process.exitCode = 1;

/** Into the file; into a file of its own in a folder, where all are run. */
async function writeResult(bench, result) {
  const { seconds, rounds } = options;
  const text = JSON.stringify({ bench, at: new Date().toISOString(), seconds, rounds, ...result }, null, 2);
  await writeFile(name === 'all' ? join(values.json, `${bench}.json`) : values.json, `${text}\n`);
}

function positive(option) {
  const number = Number(values[option]);
  return number > 0 ? number : refuse(`--${option} takes a number above 0`);
}

function numbers(option) {
  const found = values[option].split(',').map(Number);
  return found.every((number) => Number.isInteger(number) && number > 0)
    ? found
    : refuse(`--${option} takes whole numbers, with commas between`);
}

function refuse(reason) {
  process.stderr.write(`${reason}\n`);
  process.exit(2);
}

function only(...names) {
  return Object.fromEntries(
    names.filter((one) => values[one] !== undefined).map((one) => [one, values[one]]),
  );
}

async function usage() {
  const lines = [
    'npm run bench -- NAME [FLAGS]',
    'npm run bench -- report           writes docs/benchmarks.md from bench/results',
    'npm run bench -- all [FLAGS]      each but propagation, operator and soak',
    '',
    '--seconds N     how long each contender is measured in a round (3)',
    '--rounds N      how many rounds (3); figures are medians of them',
    '--warmup N      seconds of each contender that do not count (2); before each turn up to one more',
    '--minutes N     how long the soak is (10)',
    '--clients LIST  numbers of clients (1,64)',
    '--only TEXT     only the variants of our server whose name holds it, "audit off" for instance',
    '--program FILE  another build of holdfast.js',
    '--profile DIR   writes a CPU profile of our server there',
    '--sizes LIST    how many secrets, for scale, startup and list-wide (1000,10000,100000); of ExternalSecrets for operator (1000,10000)',
    '--keep DIR      where scale, startup and list-wide keep the seeded stores for a next run',
    '--json FILE     writes the figures there; a folder, for all',
    '--no-peer       leaves the peer out',
    '--smoke         a moment of each, to see that the benchmarks themselves work: no figures to quote',
    '--claim         exits 1 where a claim does not hold',
    '',
  ];
  for (const one of NAMES) lines.push(`${one.padEnd(14)}  ${(await import(`./${one}.mjs`)).summary}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}
