/** Two servers that are asked the same: ours, in this process, and the peer. */

import { startServer } from '../compat/server.ts';
import { type Difference, differences, type Told } from './compare.ts';
import { type Deviation, deviationOf } from './deviations.ts';
import { startPeer } from './peer.ts';

export interface Step {
  /** "PUT secret/data/a"; `${name}` stands for what an earlier step kept, on each side its own. */
  readonly ask: string;
  readonly body?: unknown;
  /** Absent: root. null: none. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Keeps members of the answer, by their place in it: { lease: 'lease_id' }. */
  readonly keep?: Readonly<Record<string, string>>;
}

/** What was found at one step. */
export interface Finding {
  readonly ask: string;
  readonly difference: Difference;
  /** Absent: nobody meant it. */
  readonly deviation?: Deviation;
}

interface Side {
  readonly url: string;
  readonly token: string;
  readonly kept: Map<string, string>;
}

export interface Pair {
  readonly peerName: string;
  /** Asks both and gives what differs. */
  ask(step: Step): Promise<readonly Finding[]>;
  /** Asks all in turn. */
  run(steps: readonly Step[]): Promise<readonly Finding[]>;
  /** The two answers, for a test that looks at them itself. */
  answers(step: Step): Promise<readonly [Told, Told]>;
  stop(): Promise<void>;
}

export async function startPair(): Promise<Pair> {
  const [server, peer] = [await startServer(), await startPeer()];
  const ours: Side = { url: server.url, token: server.token, kept: new Map() };
  const theirs: Side = { url: peer.url, token: peer.token, kept: new Map() };
  const answers = async (step: Step): Promise<readonly [Told, Told]> => [
    await tell(ours, step),
    await tell(theirs, step),
  ];
  const ask = async (step: Step): Promise<readonly Finding[]> => {
    const [our, their] = await answers(step);
    return differences(our, their).map((difference) => {
      const deviation = deviationOf(step.ask, difference.at, their.status);
      return { ask: step.ask, difference, ...(deviation === undefined ? {} : { deviation }) };
    });
  };
  return {
    peerName: peer.name,
    answers,
    ask,
    async run(steps) {
      const found: Finding[] = [];
      for (const step of steps) found.push(...(await ask(step)));
      return found;
    },
    async stop() {
      peer.stop();
      await server.close();
    },
  };
}

async function tell(side: Side, step: Step): Promise<Told> {
  const filled = (text: string): string =>
    text.replace(/\$\{(\w+)\}/g, (_, name: string) => side.kept.get(name) ?? `nothing-kept-as-${name}`);
  const [method = '', path = ''] = filled(step.ask).split(/ (.*)/s);
  const token = step.token === undefined ? side.token : step.token;
  const body =
    step.body === undefined || typeof step.body === 'string' ? step.body : JSON.stringify(step.body);
  const response = await fetch(`${side.url}/v1/${path}`, {
    method,
    headers: { ...(token === null ? {} : { 'x-vault-token': filled(token) }), ...step.headers },
    ...(body === undefined ? {} : { body: filled(body as string) }),
  });
  const text = await response.text();
  const told = { status: response.status, body: parsed(text) };
  for (const [name, place] of Object.entries(step.keep ?? {}))
    side.kept.set(name, String(at(told.body, place)));
  return told;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const at = (value: unknown, place: string): unknown =>
  place
    .split('.')
    .reduce<unknown>((inner, name) => (inner as Record<string, unknown> | undefined)?.[name], value);

/** One line for each difference that nobody meant. */
export const unexplained = (findings: readonly Finding[]): readonly string[] =>
  findings
    .filter(({ deviation }) => deviation === undefined)
    .map(
      ({ ask, difference: { at: place, ours, peer } }) =>
        `${ask}  ${place}: ours ${ours}, the peer's ${peer}`,
    );
