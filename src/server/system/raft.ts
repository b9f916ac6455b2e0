/**
 * storage/raft: what `operator raft` asks for. There is no raft here; the snapshot of whatever store this is, and the one
 * node that it has, answer under the names that scripts know.
 */

import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { type Operation, operation, type Route } from '../../plugin/plugin.ts';
import { type Core, type Platform, type SnapshotControl, services } from '../core/core.ts';
import { exchangeOf } from '../core/exchange.ts';
import { OTHERS } from './node.ts';

const none = z.object({});

export function raftRoutes({ core, seal, snapshots }: Platform): Route[] {
  const save = operation({
    summary: 'The whole store as one file, sealed as it is.',
    input: none,
    output: z.undefined(),
    effect: 'none',
    async run(_input, call) {
      services(core);
      return {
        raw: {
          status: 200,
          headers: {
            'content-type': 'application/gzip',
            'content-disposition': 'attachment; filename="snapshot.snap"',
          },
          body: await snapshots.save(call.signal),
        },
      };
    },
  });
  return [
    // `read` alone saves, as upstream has it: the policies of people's backup jobs say no more, and the file is sealed.
    {
      path: 'storage/raft/snapshot',
      operations: { read: save, write: restore(core, snapshots, false) },
    },
    {
      path: 'storage/raft/snapshot-force',
      access: 'sudo',
      operations: { write: restore(core, snapshots, true) },
    },
    {
      path: 'storage/raft/configuration',
      operations: {
        read: operation({
          summary: 'The nodes of this server: one.',
          input: none,
          output: z.object({
            config: z.object({
              servers: z.array(
                z.object({
                  node_id: z.string(),
                  address: z.string(),
                  leader: z.boolean(),
                  protocol_version: z.string(),
                  voter: z.boolean(),
                }),
              ),
              index: z.number(),
            }),
          }),
          effect: 'none',
          async run(_input, call) {
            const { clusterId } = await seal.status();
            const address = call.headers['host'] ?? '';
            const self = { node_id: clusterId, address, leader: true, protocol_version: '3', voter: true };
            return { data: { config: { servers: [self], index: 0 } } };
          },
        }),
      },
    },
    ...['join', 'remove-peer', 'promote', 'demote'].map(
      (name): Route => ({
        path: `storage/raft/${name}`,
        access: 'sudo',
        operations: { write: OTHERS },
      }),
    ),
  ];
}

function restore(core: Core, snapshots: SnapshotControl, force: boolean): Operation {
  return operation({
    summary: force
      ? 'Puts a snapshot in place of everything, even one that other unseal keys open.'
      : 'Puts a snapshot of this server in place of everything.',
    input: z.object({ body: z.custom<AsyncIterable<Uint8Array>>() }),
    output: z.undefined(),
    effect: 'write',
    body: 'stream',
    async run({ body }, call) {
      services(core);
      const snapshot = await snapshots.read(body);
      if (!force && !snapshot.own) throw failure('snapshot.foreign');
      await snapshots.restore(snapshot);
      // The trail goes on behind the barrier as it now is. Where other keys open it, it ends with the request's line.
      exchangeOf(call).services = core.services();
      return {};
    },
  });
}
