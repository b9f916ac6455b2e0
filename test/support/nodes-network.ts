/**
 * Where the nodes of a cluster live: each in a network namespace of its own where this machine allows that, with one link
 * to clients and other nodes and one to the database, which can be cut apart; else all on the loopback interface.
 */

import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Place {
  /** The address that the node serves at. */
  readonly host: string;
  /** The address of this machine at which the node reaches what stands for the database. */
  readonly databaseHost: string;
  /** A command that runs another one where the node lives, keeping its process id. */
  readonly under: readonly string[];
}

export interface Network {
  /** In words, for what a test prints. */
  readonly kind: string;
  readonly places: readonly Place[];
  /** Takes the link of a node to the database down, or up again; undefined where there are no links. */
  readonly link: ((node: number, up: boolean) => Promise<void>) | undefined;
  close(): void;
}

/** @param wanted false for the loopback interface, whatever the machine allows */
export async function layNetwork(nodes: number, wanted = true): Promise<Network> {
  if (!wanted) return onLoopback(nodes, 'as asked');
  try {
    return await inNamespaces(nodes);
  } catch (error) {
    return onLoopback(nodes, error instanceof Error ? (error.message.split('\n').at(-2) ?? '') : '');
  }
}

const onLoopback = (nodes: number, why: string): Network => ({
  kind: `the loopback interface, and the cutting proxy alone (no network namespaces: ${why})`,
  places: Array.from({ length: nodes }, () => ({ host: '127.0.0.1', databaseHost: '127.0.0.1', under: [] })),
  link: undefined,
  close() {},
});

/** Two bridges, one for what is served and one for the database, and a port on each for every namespace. */
async function inNamespaces(nodes: number): Promise<Network> {
  // A number for this process, so that two runs beside each other do not meet.
  const own = process.pid % 250;
  const name = (part: string): string => `hf${own}${part}`;
  const network = (bridge: Bridge): string => `10.${bridge === 'f' ? 213 : 214}.${own}`;
  type Bridge = 'f' | 'b';
  const indices = Array.from({ length: nodes }, (_, index) => index);
  const removals = [
    ...indices.map((index) => ['netns', 'del', name(`n${index}`)]),
    ...(['f', 'b'] as const).map((bridge) => ['link', 'del', name(bridge)]),
    ...indices.flatMap((index) =>
      (['f', 'b'] as const).map((part) => ['link', 'del', name(`${part}${index}`)]),
    ),
  ];
  const close = (): void => {
    process.off('exit', close);
    // What is not there any more is as good as removed.
    for (const removal of removals)
      try {
        execFileSync('ip', removal, { stdio: 'ignore' });
      } catch {}
  };
  const ip = async (...args: string[]): Promise<void> => void (await run('ip', args));
  process.once('exit', close);
  try {
    for (const bridge of ['f', 'b'] as const) {
      await ip('link', 'add', name(bridge), 'type', 'bridge');
      await ip('addr', 'add', `${network(bridge)}.254/24`, 'dev', name(bridge));
      await ip('link', 'set', name(bridge), 'up');
    }
    for (const index of indices) {
      const space = name(`n${index}`);
      await ip('netns', 'add', space);
      await ip('-n', space, 'link', 'set', 'lo', 'up');
      for (const bridge of ['f', 'b'] as const) {
        const port = name(`${bridge}${index}`);
        const inside = bridge === 'f' ? 'front' : 'back';
        await ip('link', 'add', port, 'type', 'veth', 'peer', 'name', inside, 'netns', space);
        await ip('link', 'set', port, 'master', name(bridge), 'up');
        await ip('-n', space, 'addr', 'add', `${network(bridge)}.${index + 1}/24`, 'dev', inside);
        await ip('-n', space, 'link', 'set', inside, 'up');
      }
    }
  } catch (error) {
    close();
    throw error;
  }
  return {
    kind: 'a network namespace for each node',
    places: indices.map((index) => ({
      host: `${network('f')}.${index + 1}`,
      databaseHost: `${network('b')}.254`,
      under: ['ip', 'netns', 'exec', name(`n${index}`)],
    })),
    link: (node, up) => ip('link', 'set', name(`b${node}`), up ? 'up' : 'down'),
    close,
  };
}
