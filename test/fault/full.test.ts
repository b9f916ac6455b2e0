/** The disk is full: nothing is answered that is not on it, what was is still there, and it goes on when there is room. */

import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChainVerifier, type Finding } from '../../src/base/chain.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { kv } from '../../src/engines/kv/index.ts';
import { Barrier } from '../../src/server/barrier/barrier.ts';
import type { Answer } from '../../src/server/core/request.ts';
import { SealKeeper } from '../../src/server/seal/keeper.ts';
import { createServer, type Server } from '../../src/server/server.ts';
import { openLmdb } from '../../src/storage/lmdb.ts';
import { MemoryBackend } from '../../src/storage/memory.ts';
import type { Backend } from '../../src/storage/storage.ts';

const DISK_KB = 4096;
/** What is kept free for what is to fail: the rest of the disk is taken by the filler. */
const FREE_KB = 256;
const TRIES = 2000;

const why = cannotMount();
if (why !== undefined) console.log(`SKIPPED: a full disk is not tested, because ${why}`);

describe.skipIf(why !== undefined)('a full disk', () => {
  let disk: string;
  const filler = (): string => join(disk, 'filler');
  const fill = async (): Promise<void> => {
    const free = Number(
      spawnSync('df', ['--output=avail', '-k', disk], { encoding: 'utf8' }).stdout.split('\n')[1],
    );
    await writeFile(filler(), Buffer.alloc(Math.max(0, free - FREE_KB) * 1024));
  };
  beforeEach(async () => {
    disk = await mkdtemp(join(tmpdir(), 'holdfast-full-'));
    mount(disk);
  });
  afterEach(async () => {
    spawnSync('umount', ['-l', disk]);
    await rm(disk, { recursive: true, force: true });
  });

  it('under the audit trail stops every request with a clear message, and none once there is room', async () => {
    const { server, root } = await start(new MemoryBackend());
    const ask = asking(server, root);
    try {
      await ask('write', 'sys/audit/file', { type: 'file', options: { file_path: join(disk, 'audit.log') } });
      expect((await put(ask, 'before')).kind).toBe('envelope');
      await fill();
      await untilFailed(ask, 'audit.failed');
      // Neither a write nor a read nor a list is answered now.
      for (const verb of ['read', 'list'] as const)
        expect(codeOf(await ask(verb, verb === 'read' ? 'secret/data/before' : 'secret/metadata'))).toBe(
          'audit.failed',
        );
      expect(codeOf(await put(ask, 'after'))).toBe('audit.failed');
      await rm(filler());
      expect((await put(ask, 'after')).kind).toBe('envelope');
      expect(codeOf(await ask('read', 'secret/data/before'))).toBeUndefined();
      // Of a line that was cut by the full disk nothing runs into the next one: the trail is torn there, and whole.
      const findings: Finding[] = [];
      const verifier = new ChainVerifier({}, (finding) => findings.push(finding));
      for (const line of (await readFile(join(disk, 'audit.log'), 'utf8')).split('\n')) verifier.take(line);
      verifier.end();
      expect(findings.filter(({ kind }) => kind !== 'torn')).toEqual([]);
    } finally {
      await server.close();
    }
  });

  it('under the data fails the write with a clear message, keeps what was acknowledged, and takes more once there is room', async () => {
    const folder = join(disk, 'store');
    const backend = await openLmdb(folder);
    const { server, root, share } = await start(backend);
    const ask = asking(server, root);
    const acked: string[] = [];
    try {
      await fill();
      await untilFailed(ask, 'storage.write', acked);
      expect(acked.length).toBeGreaterThan(5);
      for (const path of acked)
        expect(codeOf(await ask('read', `secret/data/${path}`)), path).toBeUndefined();
      await rm(filler());
      acked.push('after');
      expect((await put(ask, 'after')).kind).toBe('envelope');
    } finally {
      await server.close();
      await backend.close();
    }
    const again = await openLmdb(folder);
    try {
      const barrier = new Barrier(again);
      await new SealKeeper(again, barrier).submitShare(Buffer.from(share));
      expect(await barrier.verify(new AbortController().signal)).toMatchObject({
        damaged: [],
        set: 'matches',
      });
      await barrier.seal();
      const reopened = await open(again);
      await reopened.seal.submit(Buffer.from(share));
      const read = asking(reopened, root);
      for (const path of acked)
        expect((await read('read', `secret/data/${path}`)).kind, path).toBe('envelope');
      await reopened.close();
    } finally {
      await again.close();
    }
  });
});

type Ask = (
  verb: 'read' | 'write' | 'list',
  path: string,
  data?: Parameters<Server['call']>[0]['data'],
) => Promise<Answer>;

const open = (backend: Backend): Promise<Server> =>
  createServer({
    backend,
    plugins: [kv],
    clock: systemClock,
    log: silentLog,
    dial: async () => ({ status: 599, body: new Uint8Array() }),
  });

async function start(backend: Backend): Promise<{ server: Server; root: string; share: Uint8Array }> {
  const server = await open(backend);
  const { keys, rootToken: root } = await server.seal.initialize(1, 1);
  const [share] = keys;
  if (share === undefined) throw new Error('no share');
  await server.seal.submit(Buffer.from(share));
  const made = await asking(server, root)('write', 'sys/mounts/secret', {
    type: 'kv',
    options: { version: '2' },
  });
  expect(codeOf(made)).toBeUndefined();
  return { server, root, share };
}

const asking =
  (server: Server, token: string): Ask =>
  (verb, path, data) =>
    server.call({ verb, path, token, ...(data === undefined ? {} : { data }) });

const put = (ask: Ask, path: string): Promise<Answer> =>
  ask('write', `secret/data/${path}`, { data: { value: 'x'.repeat(2000) } });

/** Writes until one fails, and looks at how: each write before it was acknowledged. */
async function untilFailed(ask: Ask, code: string, acked: string[] = []): Promise<void> {
  for (let i = 0; i < TRIES; i++) {
    const answer = await put(ask, `fill/${i}`);
    if (answer.kind === 'failed') {
      expect(answer.failure.code).toBe(code);
      expect(answer.failure.message).not.toBe('');
      return;
    }
    acked.push(`fill/${i}`);
  }
  throw new Error(`${TRIES} writes did not fill the disk`);
}

const codeOf = (answer: Answer): string | undefined =>
  answer.kind === 'failed' ? answer.failure.code : undefined;

function mount(at: string): void {
  const done = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_KB}k`, 'tmpfs', at], {
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(done.stderr);
}

/** Why no small disk can be had here; undefined where it can. */
function cannotMount(): string | undefined {
  if (process.platform !== 'linux') return 'this is not Linux';
  if (process.getuid?.() !== 0) return 'only root may mount one';
  const probe = spawnSync(
    'sh',
    ['-c', 'd=$(mktemp -d) && mount -t tmpfs tmpfs "$d"; s=$?; umount "$d"; rmdir "$d"; exit $s'],
    {
      encoding: 'utf8',
    },
  );
  return probe.status === 0 ? undefined : `none can be mounted: ${probe.stderr.trim().slice(0, 200)}`;
}
