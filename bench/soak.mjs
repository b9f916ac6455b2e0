/*
 * A soak: mixed load for as long as `--minutes` says, the audit trail on and rotated, one who subscribes to events. What grows
 * with time and not with what is stored shows as the slope of memory after the warm-up; what gets slower, in the 99th percentile.
 */

import { readdirSync } from 'node:fs';
import { mkdtemp, rename, rm, unlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { judged } from './parts/claims.mjs';
import { startHoldfast } from './parts/holdfast.mjs';
import { machine, machineLine } from './parts/machine.mjs';
import { median, percentile } from './parts/percentile.mjs';
import { linesOf, prepared, startMix } from './parts/soakmix.mjs';
import { figure, tableLines } from './parts/table.mjs';
import { slopeOf } from './parts/trend.mjs';

export const summary = 'memory and latency under mixed load over minutes (--minutes)';

const SAMPLE_MS = 10_000;
const SAMPLES_KEPT = 6;
const ROTATE_MS = 60_000;
const CLIENTS = 12;
/** What a client rests between two requests: the load is to last, not to be as much as it can. */
const PAUSE_MS = 5;
/** Caches fill, secrets get all their versions and short-lived tokens begin to end: all of that is no leak. */
const WARM_SHARE = 0.3;
const WARM_LEAST_MS = 120_000;
const SLOPE_LIMIT = 1;
const DRIFT_LIMIT = 1.5;
const PROBE = fileURLToPath(new URL('./parts/probe.cjs', import.meta.url));

export async function run({ minutes = 10, smoke = false, program }) {
  const sampleMs = smoke ? 500 : SAMPLE_MS;
  const lengthMs = smoke ? 5000 : minutes * 60_000;
  const warmMs = smoke ? 1500 : Math.min(Math.max(WARM_LEAST_MS, lengthMs * WARM_SHARE), lengthMs / 2);
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-soak-'));
  const closing = [() => rm(dir, { recursive: true, force: true })];
  try {
    const probe = join(dir, 'probe');
    process.env.PROBE_FILE = probe;
    const title = `soak: ${figure(lengthMs / 60_000)} minutes, ${CLIENTS} clients resting ${PAUSE_MS} ms, audit on, rotated each ${ROTATE_MS / 1000} s; warm-up ${figure(warmMs / 60_000)} minutes`;
    const made = machine();
    console.log(`${title}\n${machineLine(made)}`);
    const server = await startHoldfast(dir, {
      audit: true,
      nodeFlags: ['--require', PROBE],
      ...(program === undefined ? {} : { program }),
    });
    closing.push(() => server.stop());
    const world = await prepared(server);
    const mix = startMix(server, world, { clients: CLIENTS, pauseMs: PAUSE_MS });
    closing.push(() => mix.stop());
    const events = subscribe(server);
    closing.push(() => events.close());

    const samples = [];
    const began = Date.now();
    let rotated = began;
    while (Date.now() - began < lengthMs) {
      await later(sampleMs);
      samples.push({ minute: (Date.now() - began) / 60_000, ...sampleOf(server, probe, mix, events) });
      console.log(line(samples));
      if (Date.now() - rotated >= (smoke ? 1000 : ROTATE_MS)) {
        await rotate(dir, server);
        rotated = Date.now();
      }
    }
    await mix.stop();
    const told = linesOf(probe);
    const warm = samples.filter(({ minute }) => minute * 60_000 >= warmMs);
    const result = judgement(warm, mix, told, server, !smoke);
    print(samples, warm, result, mix);
    // It has no rounds, and what is kept of it is a sample of each minute.
    const rows = samples.filter((_, i) => i % SAMPLES_KEPT === 0);
    return { title, machine: made, rounds: undefined, seconds: undefined, rows, ...result };
  } finally {
    for (const end of closing.reverse()) await end();
  }
}

/** What the last stretch was like. */
function sampleOf(server, probe, mix, events) {
  const latencies = mix.taken().sort((a, b) => a - b);
  const last = linesOf(probe)
    .filter(({ heapUsed }) => heapUsed !== undefined)
    .slice(-10);
  const { anonMb = Number.NaN, cpuSeconds = 0 } = server.usage() ?? {};
  return {
    anonMb,
    heapMb: (last.at(-1)?.heapUsed ?? Number.NaN) / 2 ** 20,
    externalMb: (last.at(-1)?.external ?? Number.NaN) / 2 ** 20,
    requests: latencies.length,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    fds: descriptors(server.pid),
    delayP99: Math.max(...last.map(({ delayP99 }) => delayP99)),
    delayMax: Math.max(...last.map(({ delayMax }) => delayMax)),
    cpuSeconds,
    events: events.count(),
  };
}

const descriptors = (pid) => readdirSync(`/proc/${pid}/fd`).length;

async function rotate(dir, { pid }) {
  const file = join(dir, 'audit.log');
  await rename(file, `${file}.1`);
  process.kill(pid, 'SIGHUP');
  await later(200);
  await unlink(`${file}.1`);
}

/** One who hears of every change, as an operator does. */
function subscribe({ host, port, token }) {
  const { WebSocket } = createRequire(import.meta.url)('ws');
  let count = 0;
  let problem;
  const socket = new WebSocket(`ws://${host}:${port}/v1/sys/events/subscribe/kv*?json=true`, {
    headers: { 'x-vault-token': token },
  });
  socket.on('message', () => count++);
  socket.on('error', ({ message }) => {
    problem = message;
  });
  return { count: () => count, problem: () => problem, close: () => socket.terminate() };
}

/** @param long whether it lasted long enough to say anything of growth */
function judgement(warm, mix, told, server, long) {
  const { slope, error } = slopeOf(warm.map(({ minute, anonMb }) => [minute, anonMb]));
  const heap = slopeOf(warm.map(({ minute, heapMb }) => [minute, heapMb]));
  const third = Math.max(1, Math.floor(warm.length / 3));
  const p99 = (part) =>
    percentile(
      part.map((sample) => sample.p99).sort((a, b) => a - b),
      0.5,
    );
  const drift = p99(warm.slice(-third)) / p99(warm.slice(0, third));
  // What is left after a collection: the lowest of many samples comes near it, and does not depend on how seldom V8 collects.
  const floor = (part) => Math.min(...part.map((sample) => sample.heapMb));
  const uncaught = told.filter((fact) => fact.uncaught !== undefined || fact.warning !== undefined);
  const stray = server
    .output()
    .split('\n')
    .filter((text) => /unhandled|ERR_|Warning:/i.test(text));
  const fds = warm.map((sample) => sample.fds);
  const fdsGrown = (fds.at(-1) ?? 0) - (fds[0] ?? 0);
  return {
    slope,
    slopeError: error,
    heapSlope: heap.slope,
    heapFloors: [floor(warm.slice(0, third)), floor(warm.slice(-third))],
    drift,
    tables: [thirdsOf(warm)],
    problems: [...uncaught.map((fact) => JSON.stringify(fact)), ...stray, ...mix.problems()].slice(0, 20),
    claims: judged([
      {
        text: `memory grows by less than ${SLOPE_LIMIT} MB a minute after the warm-up`,
        held: long ? slope < SLOPE_LIMIT : undefined,
      },
      {
        text: `the 99th percentile of the last third is within ${DRIFT_LIMIT} of the first`,
        held: long ? drift <= DRIFT_LIMIT : undefined,
      },
      {
        text: 'no rejection or exception that nobody handled, and no warning of Node',
        held: uncaught.length + stray.length === 0,
      },
      { text: 'every request was answered as it should be', held: mix.problems().length === 0 },
      { text: 'descriptors do not pile up', held: fdsGrown <= 10 },
    ]),
  };
}

/** What each third after the warm-up was like: medians over its samples. */
export function thirdsOf(warm) {
  const size = Math.max(1, Math.floor(warm.length / 3));
  const middle = (part, name) => median(part.map((sample) => sample[name]));
  const rows = [0, 1, 2].map((at) => {
    const part = warm.slice(at * size, (at + 1) * size);
    const cells = ['anonMb', 'heapMb', 'p50', 'p99', 'delayP99', 'fds'].map((name) =>
      figure(middle(part, name)),
    );
    return [['first', 'second', 'last'][at], ...cells];
  });
  const head = ['third', 'RssAnon MB', 'heap MB', 'p50 ms', 'p99 ms', 'loop p99 ms', 'descriptors'];
  return { head, rows };
}

function line(samples) {
  const { minute, anonMb, heapMb, externalMb, requests, p50, p99, fds, delayP99, delayMax, events } =
    samples.at(-1);
  const took = minute - (samples.at(-2)?.minute ?? 0);
  return [
    `${minute.toFixed(1).padStart(5)} min`,
    `anon ${figure(anonMb)} MB`,
    `heap ${figure(heapMb)} MB`,
    `external ${figure(externalMb)} MB`,
    `${figure(requests / (took * 60))}/s`,
    `p50 ${figure(p50)} ms`,
    `p99 ${figure(p99)} ms`,
    `loop p99 ${figure(delayP99)} max ${figure(delayMax)} ms`,
    `fds ${fds}`,
    `events ${events}`,
  ].join('  ');
}

function print(samples, warm, { slope, slopeError, heapSlope, heapFloors, drift, problems }, mix) {
  console.log(`\n${chart(samples, 'anonMb', 'RssAnon, MB').join('\n')}`);
  console.log(`\n${chart(samples, 'p99', 'p99, ms').join('\n')}`);
  console.log(
    `\nafter the warm-up, over ${warm.length} samples: memory ${slope.toFixed(2)} ± ${slopeError.toFixed(2)} MB/min (heap ${heapSlope.toFixed(2)}; its lowest ${heapFloors.map(figure).join(' MB in the first third and ')} MB in the last), p99 of the last third ${drift.toFixed(2)} times that of the first`,
  );
  console.log(
    `\n${tableLines(
      ['request', 'answers'],
      mix.counts().map(([name, count]) => [name, figure(count)]),
    ).join('\n')}`,
  );
  for (const problem of problems) console.log(`problem: ${problem}`);
}

const WIDTH = 60;

/** A bar for each of at most thirty stretches. */
function chart(samples, name, title) {
  const step = Math.max(1, Math.ceil(samples.length / 30));
  const shown = samples.filter((_, i) => i % step === 0);
  const most = Math.max(...shown.map((sample) => sample[name]));
  return [
    title,
    ...shown.map(
      (sample) =>
        `${sample.minute.toFixed(1).padStart(6)} ${'#'.repeat(Math.round((sample[name] / most) * WIDTH)).padEnd(WIDTH)} ${figure(sample[name])}`,
    ),
  ];
}
