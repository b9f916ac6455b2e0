/**
 * A stream of writes of many kinds, and what has to hold of each thing afterwards: a KV path, a token, a lease. Each writer
 * has things of its own and one request under way, so that their order is known: a thing is as it was acknowledged last, or
 * as it was asked for next and never answered.
 */

import { Agent, request } from 'node:http';
import type { Random } from './random.ts';
import type { Answer, Ask, Place } from './server.ts';

/** A change of one thing: "kv:PATH", "token:ID" or "lease:ID". `value` undefined: it is to be gone. */
export interface Change {
  readonly thing: string;
  readonly value: string | undefined;
  acked: boolean;
}

export interface Load {
  readonly changes: readonly Change[];
  /** Credentials that were handed out: the name, by the lease that covers it. */
  readonly credentials: ReadonlyMap<string, string>;
  /** Requests that were answered. */
  readonly answered: () => number;
  /** Ends when every writer has ended: told to, or because the server is gone. @throws Error for an answer that is none */
  readonly ended: Promise<void>;
  stop(): void;
}

const PATHS = 6;
const ALIVE = 'alive';

interface Writer {
  readonly name: string;
  readonly tokens: string[];
  readonly leases: string[];
  count: number;
}

/** Starts `writers` streams; `round` makes the values of one stream its own. */
export function startLoad(
  at: Place & { readonly token: string },
  { writers, round, random }: { readonly writers: number; readonly round: number; readonly random: Random },
): Load {
  const stopping = new AbortController();
  const changes: Change[] = [];
  const credentials = new Map<string, string>();
  let answers = 0;

  const run = async (number: number): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const writer: Writer = { name: `${round}-${number}`, tokens: [], leases: [], count: 0 };
    try {
      while (!stopping.signal.aborted) {
        const { change, ask } = next(writer, random);
        if (change !== undefined) changes.push(change);
        const answer = await send(agent, at, ask.method, ask.path, ask.body);
        if (answer === undefined) return;
        answers++;
        if (change !== undefined) change.acked = true;
        else taken(answer, writer);
      }
    } finally {
      agent.destroy();
    }
  };
  const taken = (answer: Answer, writer: Writer): void => {
    const { lease_id: id = '', data } = answer;
    changes.push({ thing: `lease:${id}`, value: ALIVE, acked: true });
    credentials.set(id, String(data?.['username']));
    writer.leases.push(id);
  };
  const ended = Promise.all(Array.from({ length: writers }, (_, i) => run(i))).then(() => undefined);
  // Whoever waits for the end hears of it; until then it must not end the process.
  ended.catch(() => {});
  return { changes, credentials, answered: () => answers, ended, stop: () => stopping.abort() };
}

interface Step {
  /** Absent: a lease is asked for, whose name only the answer tells. */
  readonly change?: Change;
  readonly ask: { readonly method: string; readonly path: string; readonly body?: unknown };
}

function next(writer: Writer, random: Random): Step {
  const at = random.next();
  const label = `${writer.name}-${writer.count++}`;
  if (at < 0.12) {
    const id = `fault-${label}`;
    writer.tokens.push(id);
    const body = { id, policies: ['default'], ttl: '2h' };
    return { change: toBe(`token:${id}`, ALIVE), ask: { method: 'POST', path: 'auth/token/create', body } };
  }
  if (at < 0.2 && writer.tokens.length > 0) {
    const id = writer.tokens.splice(random.below(writer.tokens.length), 1)[0] ?? '';
    const ask = { method: 'POST', path: 'auth/token/revoke', body: { token: id } };
    return { change: toBe(`token:${id}`, undefined), ask };
  }
  if (at < 0.32) return { ask: { method: 'GET', path: 'source/creds/r' } };
  if (at < 0.4 && writer.leases.length > 0) {
    const id = writer.leases.splice(random.below(writer.leases.length), 1)[0] ?? '';
    const ask = { method: 'PUT', path: 'sys/leases/revoke', body: { lease_id: id, sync: true } };
    return { change: toBe(`lease:${id}`, undefined), ask };
  }
  const path = `secret/data/load/${writer.name.split('-')[1]}/${random.below(PATHS)}`;
  if (at < 0.48) return { change: toBe(`kv:${path}`, undefined), ask: { method: 'DELETE', path } };
  return {
    change: toBe(`kv:${path}`, label),
    ask: { method: 'PUT', path, body: { data: { value: label } } },
  };
}

const toBe = (thing: string, value: string | undefined): Change => ({ thing, value, acked: false });

/** What each thing may be after these changes of it: the first is what was acknowledged last. */
export type States = ReadonlyMap<string, readonly (string | undefined)[]>;

/** What may be after `changes`, of things that were as `known` before. */
export function statesAfter(known: States, changes: readonly Change[]): States {
  const states = new Map(known);
  for (const { thing, value, acked } of changes)
    states.set(thing, acked ? [value] : [...(states.get(thing) ?? [undefined]), value]);
  return states;
}

/** What a thing is, as the server tells. @throws Error for an answer that tells nothing */
export async function stateOf(thing: string, ask: Ask): Promise<string | undefined> {
  const kind = thing.slice(0, thing.indexOf(':'));
  const name = thing.slice(kind.length + 1);
  const { status, json } =
    kind === 'kv'
      ? await ask('GET', name)
      : kind === 'token'
        ? await ask('POST', 'auth/token/lookup', { token: name })
        : await ask('PUT', 'sys/leases/lookup', { lease_id: name });
  if (status === 200)
    return kind === 'kv' ? (json.data?.['data'] as { value: string } | null | undefined)?.value : ALIVE;
  if (kind === 'kv' ? status === 404 : kind === 'token' ? status === 403 || status === 404 : status === 400)
    return undefined;
  throw new Error(`${thing} was answered ${status}: ${JSON.stringify(json)}`);
}

/** The answer; undefined where the connection ended first. @throws Error for one that is no success */
function send(
  agent: Agent,
  { host, port, token }: Place & { readonly token: string },
  method: string,
  path: string,
  body: unknown,
): Promise<Answer | undefined> {
  return new Promise((resolve, reject) => {
    const call = request({
      host,
      port,
      agent,
      method,
      path: `/v1/${path}`,
      headers: { 'x-vault-token': token },
    });
    call.once('response', (response) => {
      const { statusCode = 0 } = response;
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', () => resolve(undefined));
      response.once('close', () => resolve(undefined));
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (statusCode >= 300)
          return reject(new Error(`${method} ${path} was answered ${statusCode}: ${text}`));
        resolve(text === '' ? {} : (JSON.parse(text) as Answer));
      });
    });
    call.once('error', () => resolve(undefined));
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
