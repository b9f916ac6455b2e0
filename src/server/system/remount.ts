/** remount: a mount under another name, with all that it stores and gave out. */

import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { failure } from '../../base/errors.ts';
import { operation, type Route } from '../../plugin/plugin.ts';
import { type Core, services } from '../core/core.ts';
import { mountPath } from '../core/mounts.ts';

/** Moves that can still be asked about. */
const REMEMBERED = 256;

interface Migration {
  readonly source_mount: string;
  readonly target_mount: string;
  readonly status: 'success' | 'failure';
}

const migrationText = z.object({
  migration_id: z.string(),
  migration_info: z.object({
    source_mount: z.string(),
    target_mount: z.string(),
    status: z.enum(['in-progress', 'success', 'failure']),
  }),
});

/** The path in full, and of which kind it is. @throws Failure path.* */
function placeOf(given: string): { kind: 'secret' | 'auth'; path: string } {
  const trimmed = given.replace(/\/+$/, '');
  return trimmed.startsWith('auth/')
    ? { kind: 'auth', path: mountPath('auth', trimmed.slice('auth/'.length)) }
    : { kind: 'secret', path: mountPath('secret', trimmed) };
}

export function remountRoutes(core: Core): Route[] {
  const migrations = new Map<string, Migration>();
  const remember = (id: string, migration: Migration): void => {
    migrations.set(id, migration);
    const oldest = migrations.keys().next().value;
    if (migrations.size > REMEMBERED && oldest !== undefined) migrations.delete(oldest);
  };
  return [
    {
      path: 'remount',
      access: 'sudo',
      operations: {
        write: operation({
          summary: 'Moves a mount; its leases and its data stay with it.',
          input: z.object({ from: z.string().min(1), to: z.string().min(1) }),
          output: z.object({ migration_id: z.string() }),
          effect: 'write',
          flat: true,
          async run({ from, to }) {
            const source = placeOf(from);
            const target = placeOf(to);
            if (source.kind !== target.kind)
              throw failure('request.invalid', {
                reason: 'cannot remount between secret engines and auth methods',
              });
            const id = randomUUID();
            const moved = { source_mount: source.path, target_mount: target.path };
            await services(core).mounts.move(source.path, target.path);
            remember(id, { ...moved, status: 'success' });
            return {
              data: { migration_id: id },
              warnings: [
                'Mount migration has been queued. Query the mount migration status with the migration ID at sys/remount/status/:migration_id',
              ],
            };
          },
        }),
      },
    },
    {
      path: 'remount/status/:migration_id',
      operations: {
        read: operation({
          summary: 'How a move went.',
          input: z.object({ migration_id: z.string() }),
          output: migrationText,
          effect: 'none',
          async run({ migration_id }) {
            const found = migrations.get(migration_id);
            return found === undefined ? {} : { data: { migration_id, migration_info: found } };
          },
        }),
      },
    },
  ];
}
