/** What runs in each thread that reads: the same listeners on the same sockets, over a store that the main thread writes. */

import { workerData } from 'node:worker_threads';
import { pino } from 'pino';
import { systemClock } from '../../base/clock.ts';
import { failure } from '../../base/errors.ts';
import { createDial } from '../../server/http/dial.ts';
import { type Listener, listen } from '../../server/http/listener.ts';
import { Asking } from '../../server/threads/asking.ts';
import { BatchPort } from '../../server/threads/batch.ts';
import { ReadIndex } from '../../server/threads/index.ts';
import type { FromReader, FromWriter, LentKey, Observed } from '../../server/threads/messages.ts';
import { createReader } from '../../server/threads/reader.ts';
import { shareSocket } from '../../server/threads/share.ts';
import { openLmdbReader } from '../../storage/lmdb.ts';
import { pinoLog } from '../log.ts';
import { plugins } from '../plugins.ts';
import type { ThreadData } from './threads.ts';

/** How often what was answered is told to the thread that counts. */
const OBSERVE_MS = 200;

const { joining, folder, logLevel, ttl, apiAddress, listeners } = workerData as ThreadData;
const log = pinoLog(pino.destination(1), logLevel);
const store = openLmdbReader(folder);
const index = new ReadIndex({
  counter: joining.counter,
  port: joining.changes,
  from: joining.from,
  onChange: () => store.renew(),
});
let observed: Observed[] = [];
const standing: Listener[] = [];
const wanted = new Set<(key: LentKey | undefined) => void>();

const tellObserved = (): void => {
  const all = observed;
  observed = [];
  if (all.length > 0) port.post({ kind: 'observed', all });
};
const close = async (graceMs: number | undefined): Promise<void> => {
  await Promise.all(standing.map((listener) => listener.close(graceMs)));
  tellObserved();
  port.post({ kind: 'closed' });
};
const seal = async (): Promise<void> => {
  await reader.seal();
  tellObserved();
  port.post({ kind: 'sealed' });
};
const take = (message: FromWriter): void => {
  if (asking.take(message)) return;
  switch (message.kind) {
    case 'open':
      reader.open(message.rootKey).catch((error: unknown) => log.error('a thread did not open', { error }));
      return;
    case 'root-key':
      for (const resolve of wanted) resolve(message.rootKey);
      wanted.clear();
      return;
    case 'seal':
      void seal();
      return;
    case 'renew':
      standing[message.listener]?.renew(message.tls);
      return;
    case 'close':
      void close(message.graceMs);
      return;
  }
};
// Where the thread that writes is gone, so is the process.
const port: BatchPort<FromReader, FromWriter> = new BatchPort(joining.work, take, () => {});
const asking: Asking = new Asking((message) => port.post(message));
const reader = createReader({
  store,
  index,
  // Of mounts whose answers have an effect, or reach out, this thread has to know that they are there, and no more.
  plugins: plugins(undefined, async () => {
    throw failure('storage.standby');
  }),
  clock: systemClock,
  log,
  // What has no effect reaches out to nobody.
  dial: createDial({ target: (host, at) => ({ host, port: at }), allow: () => false }),
  ttl,
  apiAddress: () => apiAddress,
  elsewhere: (request) => {
    if (request.path.text === 'sys/metrics') tellObserved();
    return asking.ask(request);
  },
  append: (line) => asking.append(line),
  rootKey: () =>
    new Promise((resolve) => {
      wanted.add(resolve);
      port.post({ kind: 'root-key' });
    }),
  observed: (one) => {
    observed.push(one);
  },
});
setInterval(tellObserved, OBSERVE_MS).unref();

const answering = {
  core: {
    clock: systemClock,
    log,
    get system(): never {
      throw failure('base.internal');
    },
    services: () => undefined,
    initialized: () => true,
    underWay: () => [],
  },
  handle: reader.handle,
  join(...[message, socket, head]: Parameters<Asking['join']>) {
    asking.join(message, socket, head);
    return true;
  },
};
try {
  for (const { descriptor, ...settings } of listeners)
    standing.push(await listen(answering, { ...settings, shared: await shareSocket(descriptor) }));
  port.post({ kind: 'listening' });
} catch (error) {
  for (const listener of standing) void listener.close(0);
  port.post({ kind: 'unshared', reason: error instanceof Error ? error.message : 'unknown' });
}
