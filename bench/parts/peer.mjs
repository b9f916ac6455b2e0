/*
 * The peer: another server of the Vault API, measured in the same run, in turns with ours. HOLDFAST_PEER_ADDR (and
 * HOLDFAST_PEER_TOKEN) name one that stands; otherwise a `bao` binary, on the PATH or named by HOLDFAST_PEER_BINARY, is
 * started with integrated storage in a folder, so that its answers are as durable as ours.
 */

import { accessSync, constants } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { apiAt } from './api.mjs';
import { freePort } from './ports.mjs';
import { startProgram } from './program.mjs';

const START_LIMIT_MS = 30_000;

/**
 * Where a peer comes from: `start(dir, { audit, config })` gives a contender, or undefined where this peer has no such variant.
 * @returns undefined where there is none
 */
export function findPeer(env = process.env) {
  const { HOLDFAST_PEER_ADDR: address, HOLDFAST_PEER_TOKEN: token } = env;
  if (address !== undefined) return { from: address, start: async () => standing(address, token) };
  const binary = env.HOLDFAST_PEER_BINARY ?? onPath('bao', env);
  return binary === undefined ? undefined : { from: binary, start: (dir, how) => started(binary, dir, how) };
}

export const NO_PEER =
  'no peer: neither HOLDFAST_PEER_ADDR, nor HOLDFAST_PEER_BINARY, nor a `bao` on the PATH; ours is measured alone';

function onPath(name, env) {
  return (env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Its process and its audit devices are not ours to see: it is measured as it stands. */
function standing(address, token) {
  const { protocol, hostname, port } = new URL(address);
  if (protocol !== 'http:' || token === undefined)
    throw new Error('HOLDFAST_PEER_ADDR takes http://HOST:PORT, and HOLDFAST_PEER_TOKEN a root token');
  return {
    name: 'peer',
    host: hostname,
    port: Number(port || 80),
    token,
    usage: () => undefined,
    async stop() {},
  };
}

async function started(binary, dir, { audit = false }) {
  await mkdir(join(dir, 'data'), { recursive: true });
  const [port, clusterPort] = [await freePort(), await freePort()];
  const file = join(dir, 'server.hcl');
  await writeFile(
    file,
    `listener "tcp" {
  address = "127.0.0.1:${port}"
  tls_disable = true
}
storage "raft" {
  path = "${join(dir, 'data')}"
  node_id = "bench"
}
api_addr = "http://127.0.0.1:${port}"
cluster_addr = "http://127.0.0.1:${clusterPort}"
log_level = "error"
${audit ? `audit "file" "file" {\n  options {\n    file_path = "${join(dir, 'audit.log')}"\n  }\n}\n` : ''}`,
  );
  const child = startProgram(binary, ['server', `-config=${file}`]);
  const at = { host: '127.0.0.1', port };
  const first = apiAt(at);
  const made = await insisted(() =>
    first.ask('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 }),
  ).catch((error) => {
    throw new Error(`${binary} does not start: ${error.message}\n${child.output().slice(-1000)}`);
  });
  await first.ask('PUT', 'sys/unseal', { key: made.keys_base64[0] });
  // It answers before it leads; only the leader has the routes.
  await insisted(() => first.ask('GET', 'sys/health'));
  first.close();
  return { name: 'peer', ...at, token: made.root_token, usage: child.usage, stop: child.stop };
}

/** Asks until it is answered. */
async function insisted(ask) {
  for (const until = performance.now() + START_LIMIT_MS; ; ) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > until) throw error;
      await later(100);
    }
  }
}
