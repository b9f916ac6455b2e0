// Our server, built and started as people start it: `holdfast server -config=FILE`, initialized and unsealed over its API.

import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apiAt } from './api.mjs';
import { startProgram } from './program.mjs';

export const PROGRAM = fileURLToPath(new URL('../../dist/holdfast.js', import.meta.url));
const START_LIMIT_MS = 60_000;

/**
 * A server, unsealed.
 * @param dir its own folder, for configuration, data and audit trail; a store of an earlier run that lies there is gone on
 *   with, and `fresh` tells that there was none
 * @param storage the stanza of the configuration; LMDB in the folder where nothing is said
 * @param config more of the configuration
 * @param audit whether a file device hears everything
 * @param program the built program; another build can be measured beside this one
 * @param nodeFlags flags of Node itself
 * @param profile a folder that V8 writes a CPU profile to when the server ends
 */
export async function startHoldfast(
  dir,
  { name = 'holdfast', storage, config = '', audit = false, program = PROGRAM, profile, nodeFlags = [] },
) {
  const dataDir = join(dir, 'data');
  const keysFile = join(dir, 'bench-keys.json');
  await mkdir(dataDir, { recursive: true });
  const file = join(dir, 'server.hcl');
  await writeFile(
    file,
    [
      'listener "tcp" {\n  address = "127.0.0.1:0"\n  tls_disable = true\n}',
      storage ?? `storage "lmdb" {\n  path = "${dataDir}"\n}`,
      config,
    ].join('\n'),
  );
  const flags = profile === undefined ? nodeFlags : [...nodeFlags, '--cpu-prof', `--cpu-prof-dir=${profile}`];
  let child;
  let at;
  const start = async () => {
    child = startProgram(process.execPath, [...flags, program, 'server', `-config=${file}`]);
    const [, host, port] = await child.line(/"address":"([\d.]+):(\d+)".*"listening"/, START_LIMIT_MS);
    at = { host, port: Number(port) };
  };
  await start();
  const fresh = !existsSync(keysFile);
  if (fresh) await initialize(at, keysFile);
  const keys = JSON.parse(await readFile(keysFile, 'utf8'));
  const unseal = async () => {
    const { ask, close } = apiAt(at);
    await ask('PUT', 'sys/unseal', { key: keys.keys_base64[0] });
    close();
  };
  await unseal();
  const contender = {
    name,
    fresh,
    dataDir,
    token: keys.root_token,
    get host() {
      return at.host;
    },
    get port() {
      return at.port;
    },
    get pid() {
      return child.pid;
    },
    usage: () => child.usage(),
    output: () => child.output(),
    stop: () => child.stop(),
    kill: () => child.kill(),
    /** After `stop` or `kill`: the process again, sealed. */
    start,
    unseal,
  };
  if (audit && fresh) {
    const api = apiAt(contender, contender.token);
    await api.ask('PUT', 'sys/audit/file', { type: 'file', options: { file_path: join(dir, 'audit.log') } });
    api.close();
  }
  return contender;
}

async function initialize(at, keysFile) {
  const { ask, close } = apiAt(at);
  const made = await ask('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 });
  close();
  await writeFile(keysFile, JSON.stringify(made), { mode: 0o600 });
}
