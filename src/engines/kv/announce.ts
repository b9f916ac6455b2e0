/** Events of the KV engine, under the names and with the metadata that Vault gives them. A value is never part of one. */

import type { Mount } from '../../plugin/plugin.ts';
import type { Secret } from './secret.ts';

export type Act =
  | 'data-write'
  | 'data-patch'
  | 'data-delete'
  | 'delete'
  | 'undelete'
  | 'destroy'
  | 'metadata-write'
  | 'metadata-patch'
  | 'metadata-delete';

/** Which endpoint an act came through: the first segment of the event's path. */
const ENDPOINT: Readonly<Record<Act, string>> = {
  'data-write': 'data',
  'data-patch': 'data',
  'data-delete': 'data',
  delete: 'delete',
  undelete: 'undelete',
  destroy: 'destroy',
  'metadata-write': 'metadata',
  'metadata-patch': 'metadata',
  'metadata-delete': 'metadata',
};

/** Tells that `act` was committed as `revision`. Where nothing was committed, nobody is told. */
export function announce(
  mount: Mount,
  act: Act,
  path: string,
  secret: Secret | undefined,
  revision: number | undefined,
  touched: readonly number[] = [],
): void {
  if (revision === undefined) return;
  // Whoever may not read the data must not hear of it; of words hung on a secret hears whoever may read those.
  const about = act === 'metadata-write' || act === 'metadata-patch' ? 'metadata' : 'data';
  const endpoint = ENDPOINT[act];
  const at = `${endpoint}/${path}`;
  const metadata: Record<string, string> = {
    current_version: String(secret?.current ?? 0),
    oldest_version: String(secret?.oldest ?? 0),
  };
  if (touched.length > 0) metadata[VERSIONS[act] ?? 'versions'] = JSON.stringify(touched);
  mount.emit({
    type: `kv-v2/${act}`,
    path: at,
    operation: act,
    revision,
    modified: true,
    dataPath: endpoint === about ? at : `${about}/${path}`,
    metadata,
  });
}

const VERSIONS: Partial<Readonly<Record<Act, string>>> = {
  'data-delete': 'deleted_versions',
  delete: 'deleted_versions',
  undelete: 'undeleted_versions',
  destroy: 'destroyed_versions',
};

/** An act on something that has no versions: the engine's configuration, or a version 1 secret. */
export function announcePlain(
  mount: Mount,
  type: 'kv-v2/config-write' | 'kv-v1/write' | 'kv-v1/delete',
  path: string,
  revision: number,
): void {
  const operation = type.slice(type.indexOf('/') + 1);
  mount.emit({
    type,
    path,
    operation,
    revision,
    modified: true,
    dataPath: path,
  });
}
