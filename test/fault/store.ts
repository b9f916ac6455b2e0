/** What is in a data folder once its program is gone: opened in this process, unsealed, verified, read. */

import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { stringify } from '../../src/base/json.ts';
import { silentLog } from '../../src/base/log.ts';
import { cubbyhole } from '../../src/engines/cubbyhole/index.ts';
import { kv } from '../../src/engines/kv/index.ts';
import { kubernetes } from '../../src/methods/kubernetes/index.ts';
import { Barrier } from '../../src/server/barrier/barrier.ts';
import type { Verification } from '../../src/server/barrier/verify.ts';
import type { Audit } from '../../src/server/options.ts';
import { SealKeeper } from '../../src/server/seal/keeper.ts';
import { createServer } from '../../src/server/server.ts';
import { openLmdb } from '../../src/storage/lmdb.ts';
import { ALIVE, TOKENS } from './writers.ts';

export interface Opened {
  /** What the set-hash and every envelope say of the file as it was found, before anything was written to it. */
  readonly verification: Verification;
  /**
   * The newest version of a KV entry: its "value"; undefined where there is none or it is deleted. Of "token/" and an id:
   * whether that token is one.
   */
  read(path: string): Promise<string | undefined>;
  close(): Promise<void>;
}

const noAudit: Audit = {
  enabled: false,
  record: async () => {},
  enable: async () => {},
  disable: async () => {},
  list: () => [],
  hash: async () => '',
};

/** @param folder of the data, which holds server/store.mdb */
export async function openStore(
  folder: string,
  keys: { readonly unsealKey: string; readonly rootToken: string },
): Promise<Opened> {
  const share = Buffer.from(keys.unsealKey, 'base64');
  const backend = await openLmdb(join(folder, 'server'));
  try {
    const barrier = new Barrier(backend);
    const keeper = new SealKeeper(backend, barrier);
    await keeper.submitShare(Buffer.from(share));
    const verification = await barrier.verify(new AbortController().signal);
    await keeper.seal();
    const server = await createServer({
      backend,
      plugins: [kv, cubbyhole, kubernetes()],
      clock: systemClock,
      log: silentLog,
      dial: async () => ({ status: 599, body: new Uint8Array() }),
      audit: async () => noAudit,
    });
    await server.seal.submit(share);
    return {
      verification,
      async read(path) {
        if (path.startsWith(TOKENS)) {
          const found = await server.call({
            verb: 'write',
            path: 'auth/token/lookup',
            token: keys.rootToken,
            data: { token: path.slice(TOKENS.length) },
          });
          if (found.kind === 'envelope') return ALIVE;
          if (found.kind === 'failed' && found.failure.kind === 'denied') return undefined;
          throw new Error(`${path} cannot be looked up: ${stringify(found)}`);
        }
        const answer = await server.call({
          verb: 'read',
          path: `secret/data/${path}`,
          token: keys.rootToken,
        });
        // Nothing there, or deleted: anything else that is no value is a finding.
        if (answer.kind === 'absent') return undefined;
        if (answer.kind !== 'envelope') throw new Error(`${path} cannot be read: ${stringify(answer)}`);
        const { data } = JSON.parse(stringify(answer.envelope.data)) as { data: { value: string } | null };
        return data?.value;
      },
      async close() {
        await server.close();
        await backend.close();
      },
    };
  } catch (error) {
    await backend.close();
    throw error;
  }
}

/** The objects in the store of the Kubernetes API, each of them parsed. */
export async function readObjects(folder: string): Promise<unknown[]> {
  const backend = await openLmdb(join(folder, 'kube'));
  try {
    const objects: unknown[] = [];
    for await (const { value } of backend.scan('kube/objects/', new AbortController().signal))
      objects.push(JSON.parse(Buffer.from(value).toString('utf8')));
    return objects;
  } finally {
    await backend.close();
  }
}
