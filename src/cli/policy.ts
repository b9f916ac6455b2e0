/** policy: write, read, list, delete, fmt. */

import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import { deletePolicy, policies, readPolicy, writePolicy } from '../client/sys.ts';
import { print } from './output.ts';
import { formatHcl } from './policyformat.ts';
import { type Flags, open, remote, success } from './session.ts';
import { Exit, endWithTwo, type Terminal } from './terminal.ts';

export function declarePolicy(program: Command, terminal: Terminal): void {
  const group = program.command('policy').description('Interact with policies');

  remote(group, 'write <name> <file>', 'Upload a policy from a file, or from standard input with "-"').action(
    async (name: string, file: string, flags: Flags) => {
      const session = await open(terminal, flags);
      await writePolicy(
        session.client,
        name.toLowerCase(),
        file === '-' ? await terminal.stdin() : await terminal.readFile(file).catch(endWithTwo(terminal)),
      );
      if (name !== name.toLowerCase())
        terminal.err(`Policy name was converted from "${name}" to "${name.toLowerCase()}"\n`);
      success(session, `Uploaded policy: ${name.toLowerCase()}`);
    },
  );

  remote(group, 'read <name>', 'Print a policy').action(async (name: string, flags: Flags) => {
    const session = await open(terminal, flags);
    const text = await readPolicy(session.client, name.toLowerCase());
    if (text === undefined) {
      terminal.err(`No policy named: ${name.toLowerCase()}\n`);
      throw new Exit(2);
    }
    print(terminal, session.format, { policy: text }, () => (text.endsWith('\n') ? text : `${text}\n`));
  });

  remote(group, 'list', 'List the policies').action(async (flags: Flags) => {
    const session = await open(terminal, flags);
    const names = await policies(session.client);
    print(terminal, session.format, names, () => names.map((name) => `${name}\n`).join(''));
  });

  remote(group, 'delete <name>', 'Delete a policy').action(async (name: string, flags: Flags) => {
    const session = await open(terminal, flags);
    await deletePolicy(session.client, name.toLowerCase());
    success(session, `Deleted policy: ${name.toLowerCase()}`);
  });

  group
    .command('fmt <file>')
    .description('Lay out a policy in its file the usual way; needs no server')
    .action(async (file: string) => {
      const text = await terminal.readFile(file);
      const laidOut = formatHcl(text);
      if (laidOut !== text)
        await writeFile(file.replace(/^~(?=\/)/, homedir()), laidOut).catch(() => {
          throw failure('cli.unwritable', { path: file });
        });
      terminal.out(`Success! Formatted policy: ${file}\n`);
    });
}
