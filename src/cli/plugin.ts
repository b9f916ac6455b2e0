/** plugin: which engines and methods a server can mount. Here they are all built in, so none is registered or removed. */

import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import { type Bag, bagOf } from '../client/envelope.ts';
import { cell, printAnswer, table } from './output.ts';
import { type Flags, nothingAt, open, printSecret, readOrNothing, remote } from './session.ts';
import type { Terminal } from './terminal.ts';

const KINDS = ['auth', 'database', 'secret'] as const;

export function declarePlugin(program: Command, terminal: Terminal): void {
  const group = program.command('plugin').description('Show which engines and methods the server has');

  remote(group, 'list [kind]', 'List them; of one kind: auth, database or secret')
    .option('--detailed', 'with what else is known of them')
    .action(async (kind: string | undefined, flags: Flags & { detailed?: boolean }) => {
      if (kind !== undefined) kindOf(kind);
      const session = await open(terminal, flags);
      const answer = await readOrNothing(session, session.client.request('GET', 'sys/plugins/catalog'));
      if (answer === undefined) return nothingAt(session, 'sys/plugins/catalog');
      const found = pluginsOf(bagOf(answer.envelope?.data)).filter(
        (plugin) => kind === undefined || plugin['type'] === kind,
      );
      printAnswer(terminal, session.format, answer, () =>
        found.length === 0 ? 'No matching plugins found\n' : listing(found, kind, flags.detailed === true),
      );
    });

  remote(group, 'info <kind> <name>', 'Show one of them').action(
    async (kind: string, name: string, flags: Flags) => {
      const session = await open(terminal, flags);
      const path = `sys/plugins/catalog/${kindOf(kind)}/${name}`;
      const answer = await readOrNothing(session, session.client.request('GET', path));
      if (answer === undefined) return nothingAt(session, path);
      printSecret(session, answer);
    },
  );
}

/** @throws Failure cli.usage */
function kindOf(text: string): string {
  const kind = KINDS.find((one) => one === text);
  if (kind !== undefined) return kind;
  throw failure('cli.usage', { reason: `${JSON.stringify(text)} is no kind: auth, database or secret` });
}

/** Newer servers tell each one in `detailed`; older ones only names, by kind. */
function pluginsOf(data: Bag): readonly Bag[] {
  const detailed = data['detailed'];
  if (Array.isArray(detailed)) return detailed.map(bagOf);
  return KINDS.flatMap((type) => {
    const names = data[type];
    return Array.isArray(names) ? names.map((name) => ({ name, type })) : [];
  });
}

function listing(found: readonly Bag[], kind: string | undefined, detailed: boolean): string {
  const shown = [
    ['Name', 'name'],
    ...(kind === undefined || detailed ? [['Type', 'type']] : []),
    ['Version', 'version'],
    ...(detailed ? [['Builtin', 'builtin']] : []),
    ...(detailed ? [['Deprecation Status', 'deprecation_status']] : []),
  ] as const;
  return table([
    shown.map(([heading]) => heading ?? ''),
    ...found.map((plugin) => shown.map(([, field]) => cell(plugin[field ?? ''] || 'n/a'))),
  ]);
}
