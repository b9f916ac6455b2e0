/** The threads of `holdfast server`: how many, and what each is given. */

import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { ServerConfig } from '../../server/config/config.ts';
import type { ListenerTls } from '../../server/http/listener.ts';
import type { Joining } from '../../server/threads/crew.ts';

/** A listener as a thread shares it. */
export interface SharedListener {
  readonly descriptor: number;
  readonly host: string;
  readonly port: number;
  readonly openMetrics: boolean;
  readonly tls?: ListenerTls;
}

export interface ThreadData {
  readonly joining: Joining;
  readonly folder: string;
  readonly logLevel: ServerConfig['logLevel'];
  readonly ttl: ServerConfig['ttl'];
  readonly apiAddress: string;
  readonly listeners: readonly SharedListener[];
}

/** Beside the built program; absent in a checkout that runs its sources, which then has one thread. */
export function placeOfThread(): URL | undefined {
  const built = new URL('holdfast-thread.js', import.meta.url);
  return existsSync(built) ? built : undefined;
}

export const makeThread = (place: URL, data: ThreadData): Worker =>
  new Worker(place, {
    workerData: data,
    transferList: [data.joining.changes, data.joining.work],
    name: 'holdfast-reader',
  });
