/** HOLDFAST_TEST_THREADS=2: the same tests of clients against a server of two threads over LMDB, one that writes and one that reads. */

import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { makeThread, type SharedListener } from '../../src/bin/server/threads.ts';
import type { Listener } from '../../src/server/http/listener.ts';
import type { Server } from '../../src/server/server.ts';
import { Crew } from '../../src/server/threads/crew.ts';
import { Announcer, announced } from '../../src/server/threads/index.ts';
import { openLmdb } from '../../src/storage/lmdb.ts';
import { type Bundle, freshBundle } from '../support/bundle.ts';

let bundle: Promise<Bundle> | undefined;
const MS_PER_HOUR = 3_600_000;
const TTL = { defaultMs: 768 * MS_PER_HOUR, maxMs: 768 * MS_PER_HOUR };

export async function startThreads() {
  bundle ??= freshBundle('threads').then((made) => {
    process.once('exit', () => rmSync(dirname(made.file), { recursive: true, force: true }));
    return made;
  });
  const { file } = await bundle;
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-threads-'));
  const announcer = new Announcer();
  const shared: SharedListener[] = [];
  let server: Server | undefined;
  const crew = new Crew({
    threads: 1,
    announcer,
    clock: systemClock,
    log: silentLog,
    make: (joining) =>
      makeThread(pathToFileURL(join(dirname(file), 'holdfast-thread.js')), {
        joining,
        folder,
        logLevel: 'error',
        ttl: TTL,
        apiAddress: '',
        listeners: shared,
      }),
    async append(line) {
      const audit = server?.core.services()?.audit as
        | { append?(given: typeof line): Promise<void> }
        | undefined;
      if (audit?.append === undefined) throw new Error('sealed');
      await audit.append(line);
    },
  });
  return {
    backend: announced(await openLmdb(folder), announcer),
    crew,
    async share(made: Server, { descriptor, address }: Listener): Promise<void> {
      server = made;
      if (descriptor === undefined) throw new Error('the socket has no descriptor');
      shared.push({ descriptor, ...address, openMetrics: false });
      await crew.start(made);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
