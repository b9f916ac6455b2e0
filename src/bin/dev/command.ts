/** `holdfast dev`: the flags, and nothing else; the servers are loaded only when they are wanted. */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { failure } from '../../base/errors.ts';
import { Exit, type Terminal } from '../../cli/terminal.ts';
import type { DevOptions, HostPort } from './options.ts';

interface DevFlags {
  readonly once?: boolean;
  readonly data?: string;
  readonly address?: string;
  readonly kubeAddress?: string;
  readonly resolve?: readonly string[];
  readonly randomValues?: boolean;
  readonly timeout: string;
}

export function declareDev(program: Command, terminal: Terminal): void {
  program
    .command('dev [dir]')
    .description(
      'Run it all on this machine: the server, a Kubernetes API and the operator, over the manifests of a folder',
    )
    .option(
      '--once',
      'do the work once: exit 0 when every ExternalSecret is synced, 1 with the reasons when not',
    )
    .option('--data <path>', 'where the data lives, or "memory"; by default DIR/.holdfast')
    .option(
      '--address <host:port>',
      'where the server listens; by default 127.0.0.1:8200 or the next free port',
    )
    .option(
      '--kube-address <host:port>',
      'where the Kubernetes API listens; by default 127.0.0.1:6443 or the next free port',
    )
    .option(
      '--resolve <host:port=addr>',
      'where a host that the manifests name is found; may be given again',
      (value: string, all: string[] = []) => [...all, value],
    )
    .option('--random-values', 'draw every secret at random, whatever config.toml says')
    .option('--timeout <seconds>', 'how long --once waits', '60')
    .action(async (dir: string | undefined, flags: DevFlags) => {
      const { runDev } = await import('./run.ts');
      const code = await runDev(optionsOf(dir, flags), terminal);
      if (code !== 0) throw new Exit(code);
    });
}

function optionsOf(dir: string | undefined, flags: DevFlags): DevOptions {
  return {
    dir: dir === undefined ? undefined : resolve(dir),
    once: flags.once === true,
    data: flags.data === 'memory' ? 'memory' : flags.data === undefined ? undefined : resolve(flags.data),
    address: flags.address === undefined ? undefined : hostPort(flags.address, '--address'),
    kubeAddress: flags.kubeAddress === undefined ? undefined : hostPort(flags.kubeAddress, '--kube-address'),
    resolve: new Map((flags.resolve ?? []).map(mapping)),
    randomValues: flags.randomValues === true,
    timeoutMs: secondsOf(flags.timeout) * 1000,
  };
}

function secondsOf(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw failure('cli.usage', { reason: '--timeout takes seconds, such as 60' });
}

function hostPort(text: string, flag: string): HostPort {
  const match = /^(?:https?:\/\/)?(\[[0-9a-fA-F:]+\]|[^:/]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port > 65535)
    throw failure('cli.usage', { reason: `${flag} takes HOST:PORT, such as 127.0.0.1:8200` });
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}

function mapping(text: string): [string, HostPort] {
  const at = text.indexOf('=');
  if (at < 1)
    throw failure('cli.usage', {
      reason: '--resolve takes HOST:PORT=ADDRESS:PORT, such as vault.example.com:8200=127.0.0.1:8200',
    });
  const from = hostPort(text.slice(0, at), '--resolve');
  const to = text.slice(at + 1);
  return [
    `${from.host}:${from.port}`,
    /:\d+$/.test(to) ? hostPort(to, '--resolve') : { host: to, port: from.port },
  ];
}
