/** For tests, run in a thread: reads one key as fast as it can, and counts reads that are older than what was acknowledged. */

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { parsePath } from '../../base/path.ts';
import { openLmdbReader } from '../../storage/lmdb.ts';
import { near } from '../../storage/near.ts';
import { Barrier } from '../barrier/barrier.ts';
import type { Answer, Request } from '../core/request.ts';
import { createFollower } from '../follow/follower.ts';
import type { Joining } from './crew.ts';
import { ReadIndex } from './index.ts';

/** What the thread is given; `acknowledged` holds the newest number whose write resolved, for each key. */
export interface Watching {
  readonly joining: Pick<Joining, 'counter' | 'changes' | 'from'>;
  readonly folder: string;
  readonly rootKey: Uint8Array;
  readonly acknowledged: SharedArrayBuffer;
  readonly over: SharedArrayBuffer;
}

/** What it saw: its last message, after "begun". */
export interface Seen {
  readonly reads: number;
  readonly elsewhere: number;
  readonly stale: number;
  readonly highest: number;
}

const { joining, folder, rootKey, acknowledged, over } = workerData as Watching;
const store = openLmdbReader(folder);
const index = new ReadIndex({
  counter: joining.counter,
  port: joining.changes,
  from: joining.from,
  onChange: () => store.renew(),
});
const barrier = new Barrier(store);
await barrier.unseal(rootKey);
const view = barrier.view('');
const follower = createFollower({
  feed: index,
  readIndex: () => index.soon(),
  open: async () => ({
    placeOf: () => 'follower' as const,
    async answer({ path }: Request): Promise<Answer> {
      const entry = await near(view, path.text);
      const reply = { status: 200, headers: {}, body: entry?.value ?? new Uint8Array(0) };
      return { kind: 'raw', reply };
    },
    forget: () => {},
    close: async () => {},
  }),
  forget: (keys) => (keys === undefined ? barrier.forget() : barrier.invalidate(keys)),
  rekey: () => barrier.refresh(),
  leaderChanged: () => {},
  patienceMs: 5000,
  clock: systemClock,
  log: silentLog,
});

const done = new Int32Array(over);
const known = new Int32Array(acknowledged);
let reads = 0;
let elsewhere = 0;
let stale = 0;
let highest = 0;
parentPort?.postMessage('begun');
while (Atomics.load(done, 0) === 0) {
  const key = reads % known.length;
  const before = Atomics.load(known, key);
  const answer = await follower.handle({
    verb: 'read',
    path: parsePath(`data/${key}`),
    headers: {},
    remote: { address: '', port: 0 },
    signal: new AbortController().signal,
  });
  reads++;
  // Others get their turn now and then, and in most reads do not: what they are told must not depend on it.
  if (reads % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  if (answer === 'elsewhere' || answer.kind !== 'raw' || !(answer.reply.body instanceof Uint8Array)) {
    elsewhere++;
    await new Promise((resolve) => setImmediate(resolve));
    continue;
  }
  const value = Number(Buffer.from(answer.reply.body).toString() || 0);
  highest = Math.max(highest, value);
  if (value < before) stale++;
}
await follower.close();
await barrier.seal();
index.close();
await store.close();
parentPort?.postMessage({ reads, elsewhere, stale, highest } satisfies Seen);
