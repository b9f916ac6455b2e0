/** read, write, patch, list, delete: any path of the API. */

import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import { readData } from './arguments.ts';
import { printBytes } from './output.ts';
import {
  type Flags,
  nothingAt,
  open,
  printKeys,
  printSecret,
  readOrNothing,
  remote,
  success,
} from './session.ts';
import type { Terminal } from './terminal.ts';

/** A path as typed, without slashes at its start; a trailing one is kept where it matters (lists). */
export const barePath = (path: string): string => path.replace(/^\/+/, '').replace(/^v1\//, '');

export function declareRead(program: Command, terminal: Terminal): void {
  remote(program, 'read <path> [data...]', 'Read data and retrieve secrets').action(
    async (path: string, args: string[], flags: Flags) => {
      const session = await open(terminal, flags);
      const query = (await readData(args, terminal)) as Record<string, string>;
      const answer = await readOrNothing(session, session.client.request('GET', barePath(path), { query }));
      if (answer === undefined || answer.bytes.length === 0) return nothingAt(session, path);
      // Before the envelope is looked for: a public key of SSH or a certificate comes without one.
      if (session.format === 'raw' && flags.field === undefined) return printBytes(terminal, answer.bytes);
      if (answer.envelope === undefined) return nothingAt(session, path);
      printSecret(session, answer);
    },
  );

  remote(program, 'write <path> [data...]', 'Write data, configuration, and secrets')
    .option('-f, --force', 'write without any data')
    .action(async (path: string, args: string[], flags: Flags & { force?: boolean }) => {
      const session = await open(terminal, flags);
      if (args.length === 0 && flags.force !== true) {
        throw failure('cli.usage', { reason: 'Must supply data or use -force' });
      }
      const answer = await session.client.request('PUT', barePath(path), {
        body: await readData(args, terminal),
      });
      if (answer.envelope === undefined) return success(session, `Data written to: ${path}`);
      printSecret(session, answer);
    });

  remote(program, 'patch <path> [data...]', 'Patch data, configuration, and secrets').action(
    async (path: string, args: string[], flags: Flags) => {
      const session = await open(terminal, flags);
      const answer = await session.client.request('PATCH', barePath(path), {
        body: await readData(args, terminal),
      });
      if (answer.envelope === undefined) return success(session, `Data written to: ${path}`);
      printSecret(session, answer);
    },
  );

  remote(program, 'list <path>', 'List data or secrets').action(async (path: string, flags: Flags) => {
    const session = await open(terminal, flags);
    printKeys(session, path, await readOrNothing(session, session.client.request('LIST', barePath(path))));
  });

  remote(program, 'delete <path> [data...]', 'Delete secrets and configuration').action(
    async (path: string, args: string[], flags: Flags) => {
      const session = await open(terminal, flags);
      const query = (await readData(args, terminal)) as Record<string, string>;
      const answer = await session.client.request('DELETE', barePath(path), { query });
      if (answer.envelope === undefined) return success(session, `Data deleted (if it existed) at: ${path}`);
      printSecret(session, answer);
    },
  );

  remote(program, 'unwrap [token]', 'Unwrap a wrapped secret').action(
    async (token: string | undefined, flags: Flags) => {
      const session = await open(terminal, flags);
      const client = session.client.with({ token: token ?? session.client.token, wrapTtl: undefined });
      printSecret(session, await client.request('PUT', 'sys/wrapping/unwrap', { body: {} }));
    },
  );
}
