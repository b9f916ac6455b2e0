/*
 * Listing one very wide folder of KV version 2: when its first and its last byte come, what it takes of memory, and what readers
 * of single secrets feel while somebody lists.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fillFolder, NAME } from './list.mjs';
import { apiAt } from './parts/api.mjs';
import { judged } from './parts/claims.mjs';
import { AUDIT_OFF_AND_ON } from './parts/compare.mjs';
import { startGenerator } from './parts/generator.mjs';
import { startHoldfast } from './parts/holdfast.mjs';
import { machine, machineLine } from './parts/machine.mjs';
import { findPeer, NO_PEER } from './parts/peer.mjs';
import { median } from './parts/percentile.mjs';
import { mountKv, readTraffic, seedSecrets } from './parts/secrets.mjs';
import { figure, printTable } from './parts/table.mjs';
import { requestText } from './parts/wire.mjs';

export const summary = 'KV version 2, one folder of 100,000 names';

const DEFAULT_NAMES = 100_000;
const READ_SECRETS = 1000;
const READERS = 4;
/** How often memory is looked at while a listing runs. */
const LOOK_MS = 2;

export async function run(options) {
  const names = Math.max(...(options.sizes ?? [DEFAULT_NAMES]));
  const scratch = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  const dir = options.keep ?? scratch;
  const closing = [() => rm(scratch, { recursive: true, force: true })];
  try {
    const generator = startGenerator();
    closing.push(() => generator.stop());
    const title = `${summary}: ${names} names of 12 letters, listed ${options.rounds} times; ${READERS} readers meanwhile`;
    const made = machine();
    console.log(`${title}\n${machineLine(made)}`);
    const peer = options.peer ? findPeer() : undefined;
    console.log(peer === undefined ? NO_PEER : `peer: ${peer.from}`);
    const starts = AUDIT_OFF_AND_ON.flatMap(({ variant, ...how }) => [
      { variant, start: () => startHoldfast(join(dir, `wide, ${variant}`), { ...options, ...how }) },
      ...(peer === undefined
        ? []
        : [{ variant, start: () => peer.start(join(scratch, `peer, ${variant}`), how) }]),
    ]);
    const rows = [];
    for (const { variant, start } of starts) {
      const contender = await start();
      if (contender.fresh !== false) await fill(contender, generator, names);
      rows.push({ ...(await measured(contender, generator, names, options)), variant });
      await contender.stop();
    }
    const tables = [print(rows)];
    return { title, machine: made, tables, rows, claims: judge(rows, names) };
  } finally {
    for (const end of closing.reverse()) await end();
  }
}

async function fill(contender, generator, names) {
  const api = apiAt(contender, contender.token);
  await mountKv(api);
  api.close();
  await seedSecrets(contender, generator, READ_SECRETS);
  const { perSecond } = await fillFolder(contender, generator, names);
  console.log(`${contender.name}: seeded ${names} secrets, ${figure(perSecond)} a second`);
}

async function measured(contender, generator, names, { rounds, seconds }) {
  const readers = () =>
    generator.run({
      module: fileURLToPath(import.meta.url),
      params: { tokens: Array(READERS).fill(contender.token), count: READ_SECRETS },
      host: contender.host,
      port: contender.port,
      clients: READERS,
      seconds,
    });
  // Once for the listing too, so that what is compiled late is compiled.
  await listed(contender, names);
  await readers();
  const quiet = await readers();
  const before = contender.usage()?.anonMb;
  const listings = [];
  let peak = before;
  for (let round = 0; round < rounds; round++) {
    let done = false;
    const watching = (async () => {
      for (; !done; await later(LOOK_MS)) peak = Math.max(peak ?? 0, contender.usage()?.anonMb ?? 0);
    })();
    listings.push(await listed(contender, names));
    done = true;
    await watching;
  }
  let stop = false;
  const lister = (async () => {
    while (!stop) await listed(contender, names);
  })();
  const busy = await readers();
  stop = true;
  await lister;
  const middle = (name) => median(listings.map((one) => one[name]));
  return {
    name: contender.name,
    firstMs: middle('firstMs'),
    lastMs: middle('lastMs'),
    kb: middle('bytes') / 1024,
    growthMb: before === undefined ? undefined : peak - before,
    quietP99Ms: quiet.p99Ms,
    busyP99Ms: busy.p99Ms,
  };
}

/** One listing over a socket of its own: milliseconds to its first and last byte. @throws Error where a name is missing */
function listed({ host, port, token }, names) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    const started = performance.now();
    let firstMs;
    let bytes = 0;
    const chunks = [];
    socket.once('connect', () =>
      socket.write(
        requestText({ path: '/v1/secret/metadata/folder?list=true', token }).replace(
          '\r\n\r\n',
          '\r\nConnection: close\r\n\r\n',
        ),
      ),
    );
    socket.on('data', (chunk) => {
      firstMs ??= performance.now() - started;
      bytes += chunk.length;
      chunks.push(chunk);
    });
    socket.once('error', reject);
    socket.once('end', () => {
      const lastMs = performance.now() - started;
      const found = Buffer.concat(chunks).toString('latin1').match(NAME)?.length ?? 0;
      if (found < names) reject(new Error(`${found} of ${names} names were listed`));
      else resolve({ firstMs, lastMs, bytes });
    });
  });
}

function print(rows) {
  const head = ['', 'first byte ms', 'last byte ms', 'kB', 'memory grows MB', 'read p99 ms', 'while listing'];
  const cells = rows.map((row) => [
    `${row.name}, ${row.variant}`,
    ...['firstMs', 'lastMs', 'kb', 'growthMb', 'quietP99Ms', 'busyP99Ms'].map((name) => figure(row[name])),
  ]);
  return printTable(head, cells);
}

/** It streams where the first byte comes long before the last one. */
/** What is audited has to be known as a whole first: without a trail nothing has to. */
const judge = ([ours], names) =>
  judged([
    {
      text: 'a folder of 100,000 names streams: its first byte comes in less than half of the time of its last',
      held: names < DEFAULT_NAMES ? undefined : ours.firstMs < ours.lastMs / 2,
    },
  ]);

export const traffic = readTraffic;
