/** explain: the chain of an ExternalSecret, from its manifest to the Secret, and the link that fails. */

import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { failure } from '../base/errors.ts';
import { tame } from '../base/tame.ts';
import { createKube, type KubeConfig, parseKubeconfig } from '../kube/client.ts';
import type { Surroundings } from '../platform/check/world.ts';
import type { Explained, Link } from '../platform/explain/explain.ts';
import { connect, tokenAtHand } from './settings.ts';
import { Exit, endWithTwo, type Terminal } from './terminal.ts';

interface Flags {
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly format: string;
}

const KINDS = new Set(['externalsecret', 'externalsecrets', 'es']);

/** @param load gives what is wired elsewhere, when the command is really given */
export function declareExplain(
  program: Command,
  terminal: Terminal,
  load: () => Promise<Surroundings>,
): void {
  program
    .command('explain <kind> <name>')
    .description('Tell why an ExternalSecret is as it is: the whole chain, the link that fails, and its mend')
    .option('-n, --namespace <name>', 'its namespace; else that of the kubeconfig, else default')
    .option('--kubeconfig <file>', 'the cluster ($KUBECONFIG, ~/.kube/config)')
    .option('--context <name>', 'the context of the kubeconfig')
    .option('--format <format>', 'text or json', 'text')
    .action(async (kind: string, name: string, flags: Flags) => {
      const explained = await run(terminal, kind, name, flags, load).catch(endWithTwo(terminal));
      terminal.out(
        flags.format === 'json' ? `${JSON.stringify(explained, undefined, 2)}\n` : textOf(explained),
      );
      if (explained.failing !== undefined) throw new Exit(1);
    });
}

async function run(
  terminal: Terminal,
  kind: string,
  name: string,
  flags: Flags,
  load: () => Promise<Surroundings>,
): Promise<Explained> {
  if (!KINDS.has(kind.toLowerCase()))
    throw failure('cli.usage', {
      reason: 'explain externalsecret NAME: other kinds tell all in their conditions',
    });
  if (flags.format !== 'text' && flags.format !== 'json')
    throw failure('cli.usage', { reason: '-format is text or json' });
  const [{ gather }, { explain }, surroundings] = await Promise.all([
    import('../platform/explain/gather.ts'),
    import('../platform/explain/explain.ts'),
    load(),
  ]);
  const config = configOf(terminal, flags);
  const namespace = flags.namespace ?? config.namespace ?? 'default';
  const kube = createKube(config);
  const vault = (await tokenAtHand(terminal)) === undefined ? undefined : await connect(terminal, {});
  try {
    const gathered = await gather({ ...surroundings, kube, vault }, namespace, name);
    if (gathered !== undefined) return explain(surroundings, gathered);
  } finally {
    kube.close();
    vault?.close();
  }
  throw failure('operator.ref_missing', { kind: 'ExternalSecret', name, namespace });
}

function configOf(terminal: Terminal, flags: Flags): KubeConfig {
  const [named] = (terminal.env['KUBECONFIG'] ?? '').split(delimiter).filter((one) => one !== '');
  const file = flags.kubeconfig ?? named ?? join(homedir(), '.kube', 'config');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw failure('cli.unreadable', { path: file });
  }
  return parseKubeconfig(text, {
    ...(flags.context === undefined ? {} : { context: flags.context }),
    readFile: (path) => readFileSync(resolve(dirname(file), path), 'utf8'),
  });
}

const STATES = { ok: 'ok', failed: 'FAILED', unseen: '?' } as const;

/** Links in columns; what fails has its mend below. Manifests and servers are strangers: nothing of theirs moves a cursor. */
export function textOf({ title, ready, links, failing, untold }: Explained): string {
  const width = Math.max(...links.map(({ link }) => tame(link).length)) + 2;
  const line = ({ link, state, says, code, mend }: Link): string => {
    const head = `${STATES[state].padEnd(8)}${tame(link).padEnd(width)}${tame(says)}${code === undefined ? '' : ` [${code}]`}\n`;
    return mend === undefined ? head : `${head}${' '.repeat(8 + width)}${tame(mend)}\n`;
  };
  const notes = untold.map((note) => `?       ${tame(note)}\n`).join('');
  const end =
    failing === undefined
      ? 'No link that can be seen fails.\n'
      : `The link that fails: ${tame(failing.link)}.\n`;
  return `${title}\n${tame(ready, 1000)}\n\n${links.map(line).join('')}${notes}\n${end}`;
}
