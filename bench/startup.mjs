/*
 * From `kill -9` to serving: the process is killed while it writes, started again, unsealed over its API the moment it listens,
 * and asked for a secret that it had acknowledged. The clock runs from the kill to that secret.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiAt, exchange } from './parts/api.mjs';
import { judged } from './parts/claims.mjs';
import { startGenerator } from './parts/generator.mjs';
import { startHoldfast } from './parts/holdfast.mjs';
import { machine, machineLine } from './parts/machine.mjs';
import { percentile } from './parts/percentile.mjs';
import { mountKv, SECRETS, secretBody, seedSecrets } from './parts/secrets.mjs';
import { figure, printTable } from './parts/table.mjs';
import { requestText } from './parts/wire.mjs';

export const summary = 'from kill -9 to serving';

const KILLS = 10;
const LIMIT_MS = 3000;
/** How long it writes before it is killed. */
const WRITING_MS = 200;

export async function run(options) {
  const secrets = Math.max(...(options.sizes ?? [SECRETS]));
  const dir = options.keep ?? (await mkdtemp(join(tmpdir(), 'holdfast-bench-')));
  const closing = options.keep === undefined ? [() => rm(dir, { recursive: true, force: true })] : [];
  try {
    const generator = startGenerator();
    closing.push(() => generator.stop());
    const title = `${summary}: ${KILLS} kills under load, ${secrets} secrets on LMDB, unsealed by key over the API`;
    const made = machine();
    console.log(`${title}\n${machineLine(made)}`);
    const contender = await startHoldfast(join(dir, `${secrets}`), options);
    closing.push(() => contender.stop());
    if (contender.fresh) {
      const api = apiAt(contender, contender.token);
      await mountKv(api);
      api.close();
      await seedSecrets(contender, generator, secrets);
    }
    const kills = [];
    for (let turn = 0; turn < KILLS; turn++) kills.push(await killed(contender, turn));
    const row = Object.fromEntries(
      ['listeningMs', 'servingMs'].map((name) => [
        name,
        kills.map((kill) => kill[name]).sort((a, b) => a - b),
      ]),
    );
    const tables = [print(row)];
    return { title, machine: made, tables, rows: [row], claims: judge(row) };
  } finally {
    for (const end of closing.reverse()) await end();
  }
}

async function killed(contender, turn) {
  const path = `/v1/secret/data/kill-${turn}`;
  const wrote = await exchange(
    contender,
    requestText({ method: 'POST', path, token: contender.token, body: secretBody(turn) }),
  );
  if (wrote.status !== 200) throw new Error(`the secret was not written: ${wrote.status}`);
  const writing = writeUntilItBreaks(contender);
  await new Promise((resolve) => setTimeout(resolve, WRITING_MS));
  const at = performance.now();
  await contender.kill();
  await writing;
  await contender.start();
  const listeningMs = performance.now() - at;
  await contender.unseal();
  const read = await exchange(contender, requestText({ path, token: contender.token }));
  if (read.status !== 200) throw new Error(`an acknowledged secret is gone: ${read.status} ${read.body}`);
  return { listeningMs, servingMs: performance.now() - at };
}

async function writeUntilItBreaks(contender) {
  for (let i = 0; ; i++)
    try {
      const path = `/v1/secret/data/under-load-${i % 100}`;
      await exchange(
        contender,
        requestText({ method: 'POST', path, token: contender.token, body: secretBody(i) }),
      );
    } catch {
      return;
    }
}

function print({ listeningMs, servingMs }) {
  const cells = [
    ['listening (sealed)', listeningMs],
    ['serving', servingMs],
  ].map(([name, all]) => [name, ...[0.5, 1].map((p) => figure(percentile(all, p)))]);
  return printTable(['from kill -9 to', 'median ms', 'slowest ms'], cells);
}

const judge = ({ servingMs }) =>
  judged([
    {
      text: `kill -9 to serving in under ${LIMIT_MS / 1000} s, each time`,
      held: percentile(servingMs, 1) < LIMIT_MS,
    },
  ]);
