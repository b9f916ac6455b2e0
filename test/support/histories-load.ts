/**
 * Clients that use one KV mount at the same time, by several ways, and note what they asked and were told by the monotonic
 * clock of this process. A few keys are hot, and renewed now and then, so that no key's history grows too long to judge.
 */

import { Agent, request } from 'node:http';
import { setTimeout as later } from 'node:timers/promises';
import type { Asked, Operation, Outcome, Register } from './histories.ts';

/** A way to the store: a balancer, or a node itself. */
export interface Way {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface LoadOptions {
  /** Of a KV version 2. */
  readonly mount: string;
  readonly token: string;
  /** One client each: the ways that it takes, by chance. */
  readonly clients: readonly (readonly Way[])[];
  readonly random: { next(): number; below(limit: number): number };
  /** How long a client thinks between two requests at most, in milliseconds. */
  readonly thinkMs?: number;
}

export interface Client {
  readonly id: number;
  /** Asks, and notes what came of it. Never fails. */
  ask(key: string, asked: Asked, way: Way): Promise<Operation>;
  /** What it would ask of the key next, by chance. */
  next(key: string): Asked;
}

export interface Load {
  /** What was asked so far; grows while the load runs. */
  readonly history: readonly Operation[];
  /** How often each answer came that is none of the expected ones, by its text. */
  readonly refusals: ReadonlyMap<string, number>;
  /** What no node may ever answer, whatever was broken. */
  readonly forbidden: readonly string[];
  /** A client more, which asks only what it is told to; its connections are kept until the load is stopped. */
  newClient(): Client;
  /** The clients that take this way alone. */
  faithfulTo(way: string): ReadonlySet<number>;
  /** The keys that are hot now. */
  hotKeys(): readonly string[];
  /** Resolves when the last client has its last answer. */
  stop(): Promise<void>;
}

const HOT = { slots: 6, operations: 150, share: 0.5 };
const COLD = 250;
const TIMEOUT_MS = 5000;
const THINK_MS = 25;
/** How long a client leaves a way alone that failed at once. */
const REST_MS = 20;

export function startLoad(options: LoadOptions): Load {
  const { random, mount, token } = options;
  const history: Operation[] = [];
  const refusals = new Map<string, number>();
  const forbidden: string[] = [];
  const stopping = new AbortController();
  const hot = Array.from({ length: HOT.slots }, () => ({ generation: 0, used: 0 }));
  /** What anybody saw last of a key: where a cas begins. */
  const seen = new Map<string, number>();
  const agents: Agent[] = [];
  let clients = 0;

  const hotKey = (slot: number): string => `hot-${slot}-${hot[slot]?.generation}`;
  const anyKey = (): string => {
    if (random.next() >= HOT.share) return `cold-${random.below(COLD)}`;
    const slot = random.below(HOT.slots);
    const one = hot[slot]!;
    if (++one.used > HOT.operations) {
      one.generation++;
      one.used = 0;
    }
    return hotKey(slot);
  };

  const newClient = (): Client => {
    const id = clients++;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agents.push(agent);
    let count = 0;
    const ask = async (key: string, asked: Asked, way: Way): Promise<Operation> => {
      const invoked = performance.now();
      const answer = await send(agent, way, requestOf(mount, key, asked), token, TIMEOUT_MS);
      const returned = performance.now();
      const { outcome, told, says, odd } = meaningOf(asked, answer);
      if (says !== undefined) refusals.set(says, (refusals.get(says) ?? 0) + 1);
      if (odd) forbidden.push(`${way.name} answers ${asked.kind} of ${key}: ${says}`);
      const operation = { client: id, by: way.name, key, asked, outcome, told, invoked, returned };
      history.push(operation);
      if (told !== undefined) seen.set(key, Math.max(seen.get(key) ?? 0, told.version));
      return operation;
    };
    return {
      id,
      ask,
      next: (key) => askedOf(random.next(), `${id}-${count++}`, seen.get(key) ?? 0),
    };
  };

  const work = async (ways: readonly Way[]): Promise<void> => {
    const client = newClient();
    const anyWay = (): Way => ways[random.below(ways.length)]!;
    while (!stopping.signal.aborted) {
      const key = anyKey();
      const asked = client.next(key);
      const { outcome } = await client.ask(key, asked, anyWay());
      // Whoever wrote looks at once, and most often somewhere else.
      if (outcome === 'done' && asked.kind !== 'read' && random.next() < 0.5)
        await client.ask(key, { kind: 'read' }, anyWay());
      const answered = outcome === 'done' || outcome === 'mismatch';
      await later(answered ? random.below(options.thinkMs ?? THINK_MS) : REST_MS);
    }
  };
  const ended = Promise.all(options.clients.map(work));
  ended.catch(() => {});
  return {
    history,
    refusals,
    forbidden,
    newClient,
    faithfulTo: (name) =>
      new Set(
        [...options.clients.keys()].filter((id) => options.clients[id]?.every((way) => way.name === name)),
      ),
    hotKeys: () => hot.map((_, slot) => hotKey(slot)),
    async stop() {
      stopping.abort();
      await ended;
      for (const agent of agents) agent.destroy();
    },
  };
}

function askedOf(dice: number, value: string, version: number): Asked {
  if (dice < 0.5) return { kind: 'read' };
  if (dice < 0.68) return { kind: 'put', value };
  if (dice < 0.95) return { kind: 'cas', value, expected: version };
  return { kind: 'delete' };
}

interface Request {
  readonly verb: string;
  readonly path: string;
  readonly body: string | undefined;
}

function requestOf(mount: string, key: string, asked: Asked): Request {
  const path = `/v1/${mount}/data/${key}`;
  switch (asked.kind) {
    case 'read':
      return { verb: 'GET', path, body: undefined };
    case 'delete':
      return { verb: 'DELETE', path, body: undefined };
    case 'put':
      return { verb: 'POST', path, body: JSON.stringify({ data: { value: asked.value } }) };
    case 'cas': {
      const { value, expected: cas } = asked;
      return { verb: 'POST', path, body: JSON.stringify({ data: { value }, options: { cas } }) };
    }
  }
}

/** What came back: a status and a body, or why nothing did; `sent` where the request may have reached somebody. */
export type Answer =
  | { readonly status: number; readonly text: string }
  | { readonly failed: string; readonly sent: boolean };

interface Meaning {
  readonly outcome: Outcome;
  readonly told: Register | undefined;
  /** The text of an answer that was none of the expected ones. */
  readonly says?: string;
  readonly odd: boolean;
}

/**
 * What says that surely nothing was done: a node that nothing opened, or that knows none which leads; a store that was
 * asked to write and did not; a balancer that had nobody to send it to.
 */
const NOTHING_KEPT =
  /nothing was kept|the store did not take the write|no active Vault instance found|Vault is sealed|No server is available/;

function meaningOf(asked: Asked, answer: Answer): Meaning {
  const none = { told: undefined, odd: false } as const;
  if ('failed' in answer)
    return { ...none, outcome: answer.sent ? 'unknown' : 'nothing', says: answer.failed };
  const { status, text } = answer;
  if (asked.kind === 'read' && (status === 200 || status === 404)) {
    const told = registerOf(text);
    if (told !== undefined) return { ...none, outcome: 'done', told };
  }
  if (asked.kind === 'delete' && status === 204) return { ...none, outcome: 'done' };
  if ((asked.kind === 'put' || asked.kind === 'cas') && status === 200) {
    const version = versionOf(text);
    if (version !== undefined) return { ...none, outcome: 'done', told: { version, value: asked.value } };
  }
  if (asked.kind === 'cas' && status === 400 && text.includes('check-and-set parameter did not match'))
    return { ...none, outcome: 'mismatch' };
  const says = `${status} ${wordsOf(text)}`;
  if (status >= 500) return { ...none, outcome: NOTHING_KEPT.test(text) ? 'nothing' : 'unknown', says };
  // A refusal by rights or by form: the token is good and the request is well-formed, on every node, at any time.
  return { ...none, outcome: 'unknown', says, odd: true };
}

interface Body {
  readonly data?: {
    readonly version?: number;
    readonly data?: { readonly value?: string } | null;
    readonly metadata?: { readonly version?: number };
  };
  readonly errors?: readonly string[];
}

const bodyOf = (text: string): Body | undefined => {
  try {
    return JSON.parse(text) as Body;
  } catch {
    return undefined;
  }
};

/** A secret that never was answers 404 without data, a deleted one 404 with its version. */
export function registerOf(text: string): Register | undefined {
  const body = bodyOf(text);
  if (body?.data === undefined)
    return body?.errors?.length === 0 ? { version: 0, value: undefined } : undefined;
  const version = body.data.metadata?.version;
  return version === undefined ? undefined : { version, value: body.data.data?.value };
}

const versionOf = (text: string): number | undefined => bodyOf(text)?.data?.version;

const wordsOf = (text: string): string =>
  (bodyOf(text)?.errors?.join('; ') ?? text.replace(/<[^>]*>|\s+/g, ' ').trim()).slice(0, 160);

/** One request; never fails: what went wrong is the answer. */
export function send(
  agent: Agent,
  way: { readonly host: string; readonly port: number },
  { verb, path, body }: Request,
  token: string,
  timeoutMs: number,
): Promise<Answer> {
  return new Promise((resolve) => {
    const call = request({
      host: way.host,
      port: way.port,
      agent,
      method: verb,
      path,
      headers: {
        'x-vault-token': token,
        ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
      },
    });
    const timer = setTimeout(() => call.destroy(new Error('no answer in time')), timeoutMs);
    const end = (answer: Answer): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    call.once('error', (error: NodeJS.ErrnoException) => {
      const refused = error.code === 'ECONNREFUSED' || error.code === 'EHOSTUNREACH';
      end({ failed: error.code ?? error.message, sent: !refused });
    });
    call.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => end({ status: response.statusCode ?? 0, text }));
      response.once('error', () => end({ failed: 'an answer that was cut', sent: true }));
      response.once('close', () => end({ failed: 'an answer that was cut', sent: true }));
    });
    call.end(body);
  });
}
