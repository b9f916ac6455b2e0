/*
 * What more secrets cost: the latency of reads at random over all of them, memory, the size of the store, and the time from
 * starting the process to the first secret it gives. A server for each size; all stand at once, so that reads are compared in
 * turns. Seeding goes through the API, so a million takes minutes: `--sizes` names them, `--keep DIR` keeps them for a next run.
 */

import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apiAt, exchange } from './parts/api.mjs';
import { judged } from './parts/claims.mjs';
import { startGenerator } from './parts/generator.mjs';
import { startHoldfast } from './parts/holdfast.mjs';
import { machine, machineLine } from './parts/machine.mjs';
import { measureInTurns } from './parts/rounds.mjs';
import { issueTokens, mountKv, readTraffic, secretMark, secretPath, seedSecrets } from './parts/secrets.mjs';
import { figure, printTable } from './parts/table.mjs';
import { requestText } from './parts/wire.mjs';

export const summary = 'what 1 k, 10 k, 100 k and (with --sizes) 1 M secrets cost';

const DEFAULT_SIZES = [1000, 10_000, 100_000];
/** Clients who ask as much as they can wait for each other: what a read takes of a given load shows only where they rest. */
const PACE = { clients: 64, perSecond: 10_000 };
const LATENCY_LIMIT = 1.3;
const MEMORY_LIMIT_MB = 250;
const MILLION = 1_000_000;
/** How many are seeded before it is written down. */
const SLICE = 10_000;

export async function run(options) {
  const sizes = options.sizes ?? DEFAULT_SIZES;
  const dir = options.keep ?? (await mkdtemp(join(tmpdir(), 'holdfast-bench-')));
  const closing = options.keep === undefined ? [() => rm(dir, { recursive: true, force: true })] : [];
  try {
    const generator = startGenerator();
    closing.push(() => generator.stop());
    const title = `${summary}: values of about 480 bytes, read at random over all of them, LMDB, audit off`;
    const made = machine();
    console.log(`${title}\n${machineLine(made)}`);
    const entries = [];
    for (const size of sizes) {
      const contender = await seeded(join(dir, `${size}`), size, { options, generator });
      closing.push(() => contender.stop());
      const startMs = await restarted(contender, size);
      const api = apiAt(contender, contender.token);
      const params = {
        tokens: await issueTokens(api, Math.max(...options.clients, PACE.clients)),
        count: size,
      };
      api.close();
      entries.push({
        contender,
        variant: `${size}`,
        kind: '',
        params,
        startMs,
        idleMb: contender.usage()?.anonMb,
      });
    }
    const asked = { entries, module: fileURLToPath(import.meta.url), generator, ...options };
    const rows = [
      ...(await measureInTurns({ ...asked, counts: options.clients })),
      ...(await measureInTurns({ ...asked, counts: [PACE.clients], perSecond: PACE.perSecond })),
    ];
    const costs = await Promise.all(
      entries.map(async ({ contender, params, startMs, idleMb }) => ({
        secrets: params.count,
        startMs,
        idleMb,
        readMb: contender.usage()?.anonMb,
        storeMb: await sizeOf(contender.dataDir),
      })),
    );
    const tables = print(rows, costs);
    return { title, machine: made, tables, rows, costs, claims: judge(rows, costs) };
  } finally {
    for (const end of closing.reverse()) await end();
  }
}

/** A server that has the secrets. What an earlier run into the same folder began is gone on with, slice by slice. */
async function seeded(dir, size, { options, generator }) {
  const contender = await startHoldfast(dir, options);
  const progress = join(dir, 'seeded');
  let from = Number(await readFile(progress, 'utf8').catch(() => '0'));
  if (contender.fresh) {
    const api = apiAt(contender, contender.token);
    await mountKv(api);
    api.close();
  }
  while (from < size) {
    const to = Math.min(size, from + SLICE);
    const { perSecond } = await seedSecrets(contender, generator, to, from);
    from = to;
    await writeFile(progress, `${from}`);
    console.log(`seeded ${from} of ${size} secrets, ${figure(perSecond)} a second`);
  }
  return contender;
}

/** Stops it and starts it. Gives the milliseconds from the start of the process to the last secret it was given. */
async function restarted(contender, size) {
  await contender.stop();
  const started = performance.now();
  await contender.start();
  await contender.unseal();
  const text = requestText({ path: `/v1/secret/data/${secretPath(size - 1)}`, token: contender.token });
  const { status, body } = await exchange(contender, text);
  if (status !== 200 || !body.includes(secretMark(size - 1)))
    throw new Error(`the last secret is gone: ${status}`);
  return performance.now() - started;
}

async function sizeOf(dir) {
  let bytes = 0;
  for (const name of await readdir(dir)) bytes += (await stat(join(dir, name))).blocks * 512;
  return bytes / 2 ** 20;
}

function print(rows, costs) {
  const reads = rows.map(({ variant, clients, pace, perSecond, p50Ms, p99Ms, cpuUs, ratio }) => [
    Number(variant).toLocaleString('en-GB'),
    pace === undefined ? `${clients}` : `${clients}, ${figure(pace)}/s`,
    ...[perSecond, p50Ms, p99Ms, cpuUs].map(figure),
    ratio.toFixed(2),
  ]);
  const head = ['secrets', 'clients', 'reads/s', 'p50 ms', 'p99 ms', 'CPU us/read', 'of the first'];
  const latencies = printTable(head, reads);
  const kept = costs.map(({ secrets, startMs, idleMb, readMb, storeMb }) => [
    secrets.toLocaleString('en-GB'),
    ...[startMs, idleMb, readMb, storeMb].map(figure),
  ]);
  const other = [
    'secrets',
    'start to first read ms',
    'RssAnon MB after start',
    'after the reads',
    'store MB',
  ];
  return [latencies, printTable(other, kept)];
}

function judge(rows, costs) {
  const p50 = (secrets, { clients, perSecond }) =>
    rows.find((row) => row.variant === `${secrets}` && row.clients === clients && row.pace === perSecond)
      ?.p50Ms;
  const loads = [{ clients: 1 }, PACE, { clients: PACE.clients }];
  const claims = loads.map((load) => {
    const [small, large] = [p50(1000, load), p50(MILLION, load)];
    const pace =
      load.perSecond === undefined
        ? 'each as fast as it is answered'
        : `${figure(load.perSecond)} a second together`;
    return {
      text: `${load.clients === 1 ? 'one client' : `${load.clients} clients`}, ${pace}: median read latency at 1 M secrets within ${LATENCY_LIMIT} times that at 1 k`,
      held: small === undefined || large === undefined ? undefined : large <= LATENCY_LIMIT * small,
    };
  });
  const million = costs.find(({ secrets }) => secrets === MILLION)?.readMb;
  claims.push({
    text: `RssAnon under ${MEMORY_LIMIT_MB} MB at 1 M secrets`,
    held: million === undefined ? undefined : million < MEMORY_LIMIT_MB,
  });
  return judged(claims);
}

export const traffic = readTraffic;
