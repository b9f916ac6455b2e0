/**
 * The upstream server that ours is held against: the one at HOLDFAST_PEER_ADDR (with HOLDFAST_PEER_TOKEN, a root token), or
 * a `vault` or `bao` of the PATH, started in its dev mode for the time of the tests.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { eventually } from '../support/platform.ts';
import { freePort } from '../support/ports.ts';

export interface Peer {
  readonly url: string;
  readonly token: string;
  readonly name: string;
  stop(): void;
}

const folders = (process.env['PATH'] ?? '').split(delimiter);
const given = process.env['HOLDFAST_PEER_ADDR'];
const binary = ['bao', 'vault'].find((name) => folders.some((folder) => existsSync(join(folder, name))));

/** Why there is no peer on this machine; undefined where there is one. */
export const withoutPeer: string | undefined =
  given === undefined && binary === undefined
    ? 'no HOLDFAST_PEER_ADDR, and neither `bao` nor `vault` is on the PATH'
    : undefined;

export async function startPeer(): Promise<Peer> {
  if (given !== undefined)
    return { url: given, token: process.env['HOLDFAST_PEER_TOKEN'] ?? 'root', name: given, stop: () => {} };
  const name = binary ?? 'bao';
  const port = await freePort();
  const token = `root-${randomUUID()}`;
  const args = [
    'server',
    '-dev',
    '-dev-no-store-token',
    `-dev-root-token-id=${token}`,
    `-dev-listen-address=127.0.0.1:${port}`,
  ];
  const child: ChildProcess = spawn(name, args, {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], HOME: tmpdir() },
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually(
    `an answer of ${name}`,
    async () => {
      const health = await fetch(`${url}/v1/sys/health`).catch(() => undefined);
      return health?.status === 200 ? health : undefined;
    },
    60_000,
  );
  return { url, token, name, stop: () => void child.kill('SIGKILL') };
}
