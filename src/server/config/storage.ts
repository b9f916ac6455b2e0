/** `storage`: where the data lives. What Vault's files name is brought to what there is, and the person is told. */

import { blocksOf } from '../../base/hcl.ts';
import { type Placed, refusal, Stanza } from './stanza.ts';

export type StorageSettings =
  | { readonly kind: 'lmdb'; readonly path: string }
  /** Gone when the process ends. */
  | { readonly kind: 'inmem' };

const ONE_NODE = 'Write storage "lmdb" { path = "..." }: one node, in a folder of its own.';

/** @throws Failure config.invalid */
export function readStorage(placed: Placed, notes: string[]): StorageSettings {
  const { file } = placed;
  const at = { file, line: placed.item.line };
  const [block, second] = blocksOf(placed.item);
  if (block === undefined || second !== undefined)
    throw refusal(at, 'the storage is not one block', ONE_NODE);
  const items = block.items.map((item) => ({ file, item }));
  const path = (stanza: Stanza): string => {
    const text = stanza.text('path');
    if (text === undefined || text === '')
      throw refusal(
        at,
        `storage "${block.label}" has no path`,
        'Name the folder: path = "/var/lib/holdfast".',
      );
    return text;
  };
  switch (block.label) {
    case 'lmdb':
      return { kind: 'lmdb', path: path(new Stanza('storage "lmdb"', items, ['path'])) };
    case 'inmem':
      new Stanza('storage "inmem"', items, []);
      notes.push('storage "inmem" keeps everything in memory: it is gone when this process ends.');
      return { kind: 'inmem' };
    case 'file': {
      const folder = path(new Stanza('storage "file"', items, ['path']));
      notes.push(`storage "file" is kept as storage "lmdb" in ${folder}, which holds one file.`);
      return { kind: 'lmdb', path: folder };
    }
    case 'raft': {
      const join = items.find(({ item }) => item.keys[0] === 'retry_join');
      if (join !== undefined)
        throw refusal(
          { file, line: join.item.line },
          'storage "raft" with retry_join is a cluster, and several nodes need storage "postgresql", which is not built yet',
          'For one node, remove retry_join.',
        );
      const known = ['path', 'node_id', 'performance_multiplier', 'trailing_logs', 'snapshot_threshold'];
      const folder = path(new Stanza('storage "raft"', items, [...known, 'max_entry_size']));
      notes.push(`storage "raft" with one node is kept as storage "lmdb" in ${folder}.`);
      return { kind: 'lmdb', path: folder };
    }
    case 'postgresql':
      throw refusal(at, 'storage "postgresql", for several nodes, is not built yet', ONE_NODE);
    default:
      throw refusal(at, `there is no storage ${JSON.stringify(block.label.slice(0, 40))}`, ONE_NODE);
  }
}
