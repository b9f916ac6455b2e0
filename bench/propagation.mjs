/*
 * From `kv put` to the Kubernetes Secret, with 1,000 ExternalSecrets on the built program: how long a change takes, that
 * nothing is read but what changed, and that no change is lost while the operator's line to the server is cut.
 * The clock runs from the server's answer to the put until a watch of our own on Secrets shows the new value.
 */

import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { machine, machineLine } from './parts/machine.mjs';
import { percentile } from './parts/percentile.mjs';
import { startDev } from './parts/program.mjs';
import { printTable } from './parts/table.mjs';
import { makeFolder } from './propagation/folder.mjs';
import { watchSecrets } from './propagation/kubewatch.mjs';
import { startProxy } from './propagation/proxy.mjs';

const COUNT = 1000;
const NAMESPACES = 10;
const CHANGES = 200;
const BURST_AT_ONCE = 16;
const CUT_CHANGES = 20;
const CUT_MS = 1000;
const P99_LIMIT_MS = 250;
/** A change that has not arrived by then is lost. */
const LOST_MS = 20_000;
const START_LIMIT_MS = 180_000;
/** Nothing is read for this long before the measuring begins: what the start left to do is done. */
const QUIET_MS = 3000;
const NAME = 'vault.bench.example';

export const summary = 'from a put to the Kubernetes Secret, 1,000 ExternalSecrets';

/** Runs it all and prints the table. Gives what of the claims holds. */
export async function run() {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  const proxy = await startProxy();
  let program;
  try {
    const all = await makeFolder(dir, {
      count: COUNT,
      namespaces: NAMESPACES,
      server: `http://${NAME}:8200`,
    });
    const startedAt = performance.now();
    program = startDev(dir, [
      ...['--address', '127.0.0.1:0', '--kube-address', '127.0.0.1:0', '--timeout', '150'],
      ...['--resolve', `${NAME}:8200=127.0.0.1:${proxy.port}`],
    ]);
    const [, host, port] = await program.line(/server +http:\/\/([\d.]+):(\d+)/, START_LIMIT_MS);
    proxy.point({ host, port: Number(port) });
    const [, synced] = await program.line(/(\d+) of \d+ ExternalSecrets synced/, START_LIMIT_MS);
    const startMs = performance.now() - startedAt;
    const startUse = program.usage();
    if (Number(synced) !== COUNT)
      throw new Error(`only ${synced} of ${COUNT} are synced\n${program.output().slice(-2000)}`);
    await program.line(/Ctrl-C stops it/, START_LIMIT_MS);
    const home = join(dir, '.holdfast');
    const audit = auditOf(join(home, 'audit.log'));
    const store = storeAt({ host, port: Number(port), token: await rootToken(home) });
    const watch = await watchSecrets(join(home, 'kubeconfig'));
    try {
      const world = { all, audit, store, watch, proxy };
      await audit.quiet(QUIET_MS);
      const rows = [];
      for (const run of [oneByOne, burst, cut]) {
        rows.push(await run(world));
        await audit.quiet(1000);
      }
      const wrong = await differences(world);
      const title = `${summary}: ${CHANGES} changes one after another, ${CHANGES} at once, ${CUT_CHANGES} while the line is cut`;
      const made = machine();
      const tables = [report({ made, startMs, startUse, rows, wrong, use: program.usage() })];
      return { title, machine: made, tables, rows, claims: judge(rows, wrong) };
    } finally {
      watch.close();
      store.close();
    }
  } finally {
    await program?.stop();
    await proxy.close();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Each change waits for the one before it. */
async function oneByOne(world) {
  return measured('one after another', world, async (change) => {
    const changes = [];
    for (const member of sample(world.all, CHANGES)) {
      const { acked, arrival } = await change(member);
      changes.push({ since: acked, at: await arrival });
    }
    return changes;
  });
}

/** As fast as the server takes them, from several writers. */
async function burst(world) {
  return measured(`burst, ${BURST_AT_ONCE} writers`, world, async (change) => {
    const rest = sample(world.all, CHANGES);
    const changes = [];
    await Promise.all(
      Array.from({ length: BURST_AT_ONCE }, async () => {
        for (let member = rest.pop(); member !== undefined; member = rest.pop()) {
          const { acked, arrival } = await change(member);
          changes.push({ since: acked, arrival });
        }
      }),
    );
    return Promise.all(changes.map(async ({ since, arrival }) => ({ since, at: await arrival })));
  });
}

/** The line is cut and stays dead for a while, during which the changes are made; time runs from when it is back. */
async function cut(world) {
  const { all, proxy } = world;
  return measured(`line cut for ${CUT_MS} ms`, world, async (change) => {
    const severed = proxy.cut();
    if (severed === 0) throw new Error('there was no line to cut');
    const healing = later(CUT_MS).then(() => {
      proxy.heal();
      return performance.now();
    });
    const made = [];
    for (const member of sample(all, CUT_CHANGES)) made.push(await change(member));
    const healed = await healing;
    if (made.some(({ acked }) => acked > healed)) throw new Error('the changes outlasted the cut');
    const arrivals = await Promise.all(made.map(({ arrival }) => arrival));
    const since = proxy.firstSince(healed) ?? healed;
    return arrivals.map((at) => ({ since, at }));
  });
}

/** Runs `work` with a function that makes one change, and counts what was read meanwhile. */
async function measured(title, { audit, store, watch }, work) {
  const mark = await audit.mark();
  const changed = new Map();
  const changes = await work(async (member) => {
    const value = randomBytes(12).toString('hex');
    const arrival = watch.arrival(member.secret, value, LOST_MS);
    await store.put(member.path, value);
    const acked = performance.now();
    member.value = value;
    changed.set(member.path, (changed.get(member.path) ?? 0) + 1);
    return { acked, arrival };
  });
  await audit.quiet(1000);
  const reads = await audit.readsSince(mark);
  // A read is caused by a change when its path changed, and no path is read more often than that.
  let polling = 0;
  for (const [path, count] of reads) polling += Math.max(0, count - (changed.get(path) ?? 0));
  const arrived = changes.filter(({ at }) => at !== undefined);
  return {
    title,
    changes: changes.length,
    lost: changes.length - arrived.length,
    reads: [...reads.values()].reduce((sum, count) => sum + count, 0),
    polling,
    // The watch may be told before the one who put: that is no time at all.
    latencies: arrived.map(({ since, at }) => Math.max(0, at - since)).sort((a, b) => a - b),
  };
}

/** Distinct members at random. */
function sample(all, count) {
  const rest = [...all];
  return Array.from({ length: count }, () => rest.splice(Math.floor(Math.random() * rest.length), 1)[0]);
}

/** Secrets that, in the end, do not hold what was put last. */
async function differences({ all, watch }) {
  const now = await watch.list();
  return all.filter(({ secret, value }) => {
    const held = now.get(secret)?.value;
    return held === undefined || (value !== undefined && held !== value);
  }).length;
}

function judge(rows, wrong) {
  const problems = [];
  const [first] = rows;
  if (percentile(first.latencies, 0.99) >= P99_LIMIT_MS)
    problems.push(`p99 of "${first.title}" is not under ${P99_LIMIT_MS} ms`);
  for (const { title, lost, polling, reads, changes } of rows) {
    if (lost > 0) problems.push(`"${title}" lost ${lost} of ${changes} changes`);
    if (polling > 0) problems.push(`"${title}" had ${polling} reads that no change caused`);
    if (reads < changes - lost)
      problems.push(`"${title}" was read ${reads} times: the audit trail misses reads`);
  }
  if (wrong > 0) problems.push(`${wrong} Secrets do not hold what was put last`);
  for (const problem of problems) console.log(`FAILED  ${problem}`);
  if (problems.length === 0)
    console.log(
      `holds: p99 under ${P99_LIMIT_MS} ms, no polling read, no change lost, all ${COUNT} Secrets right`,
    );
  return [{ text: 'every change arrives, soon and without polling', held: problems.length === 0 }];
}

function report({ made, startMs, startUse, rows, wrong, use }) {
  console.log(machineLine(made));
  console.log(
    `${COUNT} ExternalSecrets in ${NAMESPACES} namespaces, refreshInterval 1h, data on LMDB; start to all synced ${(startMs / 1000).toFixed(1)} s${startUse === undefined ? '' : `, ${startUse.cpuSeconds.toFixed(1)} s of CPU`}`,
  );
  if (use !== undefined)
    console.log(
      `the process (server, Kubernetes API and operator in one): RSS ${use.rssMb.toFixed(0)} MB, peak ${use.peakMb.toFixed(0)} MB, ${use.cpuSeconds.toFixed(1)} s of CPU in all`,
    );
  const head = [
    'put to Secret',
    'changes',
    'p50 ms',
    'p95 ms',
    'p99 ms',
    'max ms',
    'lost',
    'reads',
    'polling',
  ];
  const cells = rows.map(({ title, changes, latencies, lost, reads, polling }) => [
    title,
    `${changes}`,
    ...[0.5, 0.95, 0.99, 1].map((p) => percentile(latencies, p).toFixed(1)),
    `${lost}`,
    `${reads}`,
    `${polling}`,
  ]);
  const table = printTable(head, cells);
  console.log(`\n(the last row counts from the moment the line was back; ${wrong} Secrets wrong in the end)`);
  return table;
}

async function rootToken(home) {
  return JSON.parse(await readFile(join(home, 'keys.json'), 'utf8')).root_token;
}

function storeAt({ host, port, token }) {
  const agent = new Agent({ keepAlive: true });
  return {
    put(path, value) {
      const body = JSON.stringify({ data: { value } });
      return new Promise((resolve, reject) => {
        const call = request(
          {
            host,
            port,
            agent,
            method: 'PUT',
            path: `/v1/secret/data/${path}`,
            headers: { 'x-vault-token': token, 'content-type': 'application/json' },
          },
          (response) => {
            response.resume();
            response.once('error', reject);
            response.once('end', () => {
              if (response.statusCode === 200) resolve();
              else reject(new Error(`the put was answered ${response.statusCode}`));
            });
          },
        );
        call.once('error', reject);
        call.end(body);
      });
    },
    close: () => agent.destroy(),
  };
}

/** The audit trail of the server: who read what. */
function auditOf(file) {
  const READ = /"type":"response".*"operation":"read".*"path":"secret\/data\/([^"]+)"/;
  const linesFrom = async (from) => (await readFile(file)).subarray(from).toString('utf8').split('\n');
  const mark = async () => (await stat(file)).size;
  return {
    mark,
    /** How often each path of the KV mount was read since the mark. */
    async readsSince(from) {
      const reads = new Map();
      for (const line of await linesFrom(from)) {
        const path = READ.exec(line)?.[1];
        if (path !== undefined) reads.set(path, (reads.get(path) ?? 0) + 1);
      }
      return reads;
    },
    /** Resolves when nothing was audited for this long. */
    async quiet(forMs) {
      const end = performance.now() + START_LIMIT_MS;
      for (let size = await mark(), since = performance.now(); ; await later(50)) {
        const now = await mark();
        if (now !== size) since = performance.now();
        size = now;
        if (performance.now() - since >= forMs) return;
        if (performance.now() > end) throw new Error('the audit trail never comes to rest');
      }
    },
  };
}
