/** operator raft: backups of the whole store, and the nodes that hold it. */

import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open as openFile, rename, rm, stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { failure, isFailure } from '../../base/errors.ts';
import { bagOf } from '../../client/envelope.ts';
import { download, upload } from '../../client/stream.ts';
import { cell, printAnswer, table } from '../output.ts';
import { refuseRehearsal } from '../rehearsal.ts';
import { type Flags, open, printSecret, remote } from '../session.ts';
import { endWithTwo, type Terminal } from '../terminal.ts';

const SNAPSHOT = 'sys/storage/raft/snapshot';

export function declareRaft(parent: Command, terminal: Terminal): void {
  const group = parent.command('raft').description('Save and restore the store, and list its nodes');

  remote(group, 'list-peers', 'List the nodes that hold the store').action(async (flags: Flags) => {
    const session = await open(terminal, flags);
    const answer = await session.client.request('GET', 'sys/storage/raft/configuration');
    const servers = bagOf(bagOf(answer.envelope?.data)['config'])['servers'];
    printAnswer(terminal, session.format, answer, () =>
      table([
        ['Node', 'Address', 'State', 'Voter'],
        ...(Array.isArray(servers) ? servers : [])
          .map(bagOf)
          .map((server) => [
            cell(server['node_id']),
            cell(server['address']),
            server['leader'] === true ? 'leader' : 'follower',
            cell(server['voter']),
          ]),
      ]),
    );
  });

  remote(group, 'configuration', 'Show the whole configuration of the store').action(async (flags: Flags) => {
    const session = await open(terminal, flags);
    printSecret(session, await session.client.request('GET', 'sys/storage/raft/configuration'));
  });

  const snapshot = group.command('snapshot').description('Save the whole store into a file, and restore it');

  remote(snapshot, 'save <file>', 'Save the whole store into a file, sealed as it is').action(
    async (file: string, flags: Flags) => {
      refuseRehearsal(flags, 'snapshots');
      const session = await open(terminal, flags);
      await saveTo(file, (into) => download(session.client, SNAPSHOT, into));
    },
  );

  remote(snapshot, 'restore <file>', 'Put a saved store in place of everything')
    .option('-f, --force', 'even one that other unseal keys open')
    .action(async (file: string, flags: Flags & { force?: boolean }) => {
      refuseRehearsal(flags, 'snapshots');
      const session = await open(terminal, flags);
      // Opened before the server is asked for anything: a mistyped name is no half request.
      const handle = await openFile(file).catch(() =>
        endWithTwo(terminal)(failure('cli.unreadable', { path: file })),
      );
      await upload(
        session.client,
        flags.force === true ? `${SNAPSHOT}-force` : SNAPSHOT,
        handle.createReadStream(),
      );
    });
}

/**
 * Writes a file that is whole or not there: beside its place first, for its owner alone. A backup cut off in the middle
 * must not lie where the last good one lay.
 */
async function saveTo(
  file: string,
  fill: (into: () => ReturnType<typeof createWriteStream>) => Promise<void>,
): Promise<void> {
  // A pipe or a terminal (/dev/stdout) has nothing beside it and is not put in place of anything.
  const stats = await stat(file).catch(() => undefined);
  const beside = stats !== undefined && !stats.isFile() ? undefined : besideOf(file);
  try {
    await fill(() =>
      createWriteStream(beside ?? file, {
        mode: 0o600,
        ...(beside === undefined ? {} : { flags: 'wx', flush: true }),
      }),
    );
    if (beside !== undefined) await rename(beside, file);
  } catch (error) {
    if (beside !== undefined) await rm(beside, { force: true });
    if (isFailure(error)) throw error;
    throw failure('cli.unwritable', { path: file });
  }
}

const besideOf = (file: string): string => `${file}.${randomBytes(4).toString('hex')}.partial`;
