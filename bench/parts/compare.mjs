/*
 * A benchmark of one kind of request, from beginning to end: our server in each variant, the peer beside it, the bare answer,
 * rounds, the table, and what of the claims holds.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiAt, exchange } from './api.mjs';
import { startBare } from './bare.mjs';
import { judged } from './claims.mjs';
import { startGenerator } from './generator.mjs';
import { startHoldfast } from './holdfast.mjs';
import { machine, machineLine } from './machine.mjs';
import { findPeer, NO_PEER } from './peer.mjs';
import { measureInTurns } from './rounds.mjs';
import { figure, printTable } from './table.mjs';

/** Without audit, and with the device that most people have. */
export const AUDIT_OFF_AND_ON = [{ variant: 'audit off' }, { variant: 'audit to a file', audit: true }];

/**
 * @param spec
 *   title, what one answer is;
 *   module, the file whose `traffic(params)` makes the requests; params get `bare: true` where the bare answer is asked;
 *   variants of our server, as `startHoldfast` takes them, each with a `variant` to call it by, `kind` where its requests are
 *   of another kind than the others' (each kind has its own bare answer), and `ours` where the peer has no such thing;
 *   prepare(api, context) sets up what the traffic needs, through the API alone, and gives its params; the context is
 *   { contender, generator, kind };
 *   steps, how many requests in a row the traffic has that differ in kind (1);
 *   claims: { text, holds(find) }, where find(variant, clients) gives our row, judged after the run
 * @returns { rows, machine, claims } for the report
 */
export async function compare(options, spec) {
  // Before anything is started: what else the machine does.
  const made = machine();
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  const closing = [() => rm(dir, { recursive: true, force: true })];
  try {
    const generator = startGenerator();
    closing.push(() => generator.stop());
    const peer = options.peer ? findPeer() : undefined;
    const wanted = spec.variants.filter(({ variant }) => variant.includes(options.only ?? ''));
    const entries = [];
    const add = async (start, { variant, kind = '', ...how }) => {
      const contender = await start(join(dir, `${entries.length}`), how);
      closing.push(() => contender.stop());
      const api = apiAt(contender, contender.token);
      const params = await spec.prepare(api, { contender, generator, kind });
      api.close();
      entries.push({ contender, variant, kind, params });
    };
    for (const variant of wanted) await add((at, how) => startHoldfast(at, { ...options, ...how }), variant);
    const bares = [];
    for (const entry of entries) {
      if (bares.some(({ kind }) => kind === entry.kind)) continue;
      const bare = await bareAnswer(spec, entry);
      closing.push(() => bare.contender.stop());
      bares.push(bare);
    }
    if (peer !== undefined) for (const variant of wanted) if (!variant.ours) await add(peer.start, variant);
    console.log(`${spec.title}\n${machineLine(made)}`);
    console.log(peer === undefined ? NO_PEER : `peer: ${peer.from}`);
    const rows = await measureInTurns({
      entries: [...bares, ...entries],
      counts: options.clients,
      module: spec.module,
      generator,
      seconds: options.seconds,
      rounds: options.rounds,
      warmup: options.warmup,
    });
    const tables = [printRows(rows, options)];
    return { title: spec.title, machine: made, tables, rows, claims: judge(spec.claims ?? [], rows) };
  } finally {
    for (const end of closing.reverse()) await end();
  }
}

/** What our server answers to each kind of request is what the bare server repeats. */
async function bareAnswer(spec, { contender, params, kind }) {
  const { traffic } = await import(spec.module);
  const { next, check } = traffic(params).client(0, 1);
  const samples = {};
  for (let step = 0; step < (spec.steps ?? 1); step++) {
    const text = next();
    const answer = await exchange(contender, text);
    const wrong = check(answer.status, answer.body);
    if (wrong !== undefined) throw new Error(`${wrong}: answer ${answer.status} ${answer.body}`);
    samples[text.slice(0, text.indexOf(' '))] = answer;
  }
  return { contender: await startBare(samples), variant: kind, kind, params: { ...params, bare: true } };
}

function printRows(rows, { seconds, rounds }) {
  const withPeer = rows.some(({ toPeer }) => toPeer !== undefined);
  const head = ['', 'clients', 'answers/s', 'of bare', ...(withPeer ? ['of peer'] : [])];
  head.push('p50 ms', 'p99 ms', 'CPU us/answer');
  const cells = rows.map(({ name, variant, clients, perSecond, ratio, toPeer, p50Ms, p99Ms, cpuUs }) => [
    variant === '' ? name : `${name}, ${variant}`,
    `${clients}`,
    figure(perSecond),
    ratio.toFixed(2),
    ...(withPeer ? [toPeer?.toFixed(2) ?? ''] : []),
    ...[p50Ms, p99Ms, cpuUs].map(figure),
  ]);
  const table = printTable(head, cells);
  console.log(`(medians of ${rounds} rounds of ${seconds} s each)`);
  const most = Math.max(...rows.map(({ generatorShare }) => generatorShare));
  if (most > 0.9)
    console.log(
      `the load generator used ${Math.round(most * 100)} % of a core: it held the fastest ones back`,
    );
  return table;
}

function judge(claims, rows) {
  const find = (variant, clients) =>
    rows.find((row) => row.name === 'holdfast' && row.variant === variant && row.clients === clients);
  return judged(claims.map(({ text, holds }) => ({ text, held: holds(find) })));
}
