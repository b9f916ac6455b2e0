/*
 * The load generator: a process of its own, so that what it costs is not counted as the server's. Each client is one
 * kept-alive socket that sends its next request when the answer to the last one is there. Every answer is checked, and the
 * first wrong one ends the run with what it said: an error never counts as fast.
 * Started by generator.mjs, which sends jobs.
 */

import { connect } from 'node:net';
import { percentile } from './percentile.mjs';
import { AnswerReader } from './wire.mjs';

/** An answer that has not come by then never comes. */
const LOST_MS = 30_000;

process.on('message', async (job) => {
  try {
    const { traffic } = await import(job.module);
    process.send({ result: await run(job, traffic(job.params)) });
  } catch (error) {
    process.send({ failure: error instanceof Error ? error.message : String(error) });
  }
});
process.on('disconnect', () => process.exit());

/**
 * @param job `clients` sockets to `host`:`port`, for `seconds`, or until the traffic of each has no more to send; with
 *   `perSecond` they send so many requests together and rest in between, else each sends as soon as it is answered
 * @param traffic `client(index, clients)` gives what one client does: `next()` the text of its next request, undefined to
 *   end; `check(status, body)` what is wrong with the answer, undefined where nothing is
 */
async function run({ host, port, clients, seconds, perSecond }, traffic) {
  const latencies = [];
  const sockets = await Promise.all(Array.from({ length: clients }, () => open(host, port)));
  const each = sockets.map((_, index) => traffic.client(index, clients));
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  const until = seconds === undefined ? Number.POSITIVE_INFINITY : started + seconds * 1000;
  const restMs = perSecond === undefined ? 0 : (clients / perSecond) * 1000;
  let inTime = 0;
  const drive = (socket, index) =>
    new Promise((resolve, reject) => {
      const { next, check } = each[index];
      let sent = 0;
      let due = started + (restMs * index) / clients;
      const timer = setInterval(() => {
        if (performance.now() - sent > LOST_MS) reject(new Error('an answer never came'));
      }, LOST_MS / 10);
      const send = () => {
        const text = performance.now() < until ? next() : undefined;
        if (text === undefined) {
          clearInterval(timer);
          return resolve();
        }
        sent = performance.now();
        socket.write(text, 'latin1');
      };
      const reader = new AnswerReader((status, body) => {
        const now = performance.now();
        const wrong = check(status, body);
        if (wrong !== undefined)
          return reject(new Error(`${wrong}: answer ${status} ${body.subarray(0, 300)}`));
        latencies.push(now - sent);
        if (now <= until) inTime++;
        inTurn(now);
      });
      const inTurn = (now) => {
        due += restMs;
        if (due > now) setTimeout(send, due - now);
        else send();
      };
      socket.on('data', (chunk) => {
        try {
          reader.push(chunk);
        } catch (error) {
          reject(error);
        }
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the server closed a connection')));
      if (restMs === 0) send();
      else setTimeout(send, due - performance.now());
    });
  try {
    await Promise.all(sockets.map(drive));
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  const passed = seconds ?? (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  latencies.sort((a, b) => a - b);
  return {
    answers: latencies.length,
    perSecond: (seconds === undefined ? latencies.length : inTime) / passed,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    maxMs: percentile(latencies, 1),
    /** Of one core, while it ran. */
    generatorShare: (user + system) / 1e6 / passed,
  };
}

function open(host, port) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
