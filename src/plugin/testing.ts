/**
 * Mounts one plugin for its tests: memory below it, a clock that stands still, and every call taken through the same route
 * matching and schemas that the server uses. For tests alone.
 */

import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import { ManualClock } from '../base/clock.ts';
import { failure } from '../base/errors.ts';
import { parseJson, stringify } from '../base/json.ts';
import { type Facts, type Log, silentLog } from '../base/log.ts';
import { asFolder, parsePath } from '../base/path.ts';
import { MemoryBackend } from '../storage/memory.ts';
import { prefixed } from '../storage/prefixed.ts';
import type { Storage } from '../storage/storage.ts';
import { compileRoutes, type Matcher } from './match.ts';
import type {
  Call,
  Dial,
  Grant,
  LeaseInfo,
  Mount,
  Plugin,
  PluginEvent,
  PluginType,
  Reply,
  Verb,
} from './plugin.ts';

export interface TestOptions {
  readonly path?: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly dial?: Dial;
  readonly mayReach?: NonNullable<Mount['mayReach']>;
  readonly clock?: ManualClock;
  readonly ttl?: { readonly defaultMs: number; readonly maxMs: number };
  /** Stands in front of the storage, to make it fail or wait. */
  readonly wrap?: (storage: Storage) => Storage;
}

export interface CallOptions {
  /** Whose cubbyhole it is. */
  readonly token?: string;
  readonly remote?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What the server would answer: a status, and the members of the envelope. */
export interface Outcome {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly data: any;
  /** `data` as the bytes on the wire would have it. */
  readonly text: string;
  readonly warnings: readonly string[];
  readonly lease: LeaseInfo | undefined;
  readonly auth: Grant | undefined;
}

export interface TestMount {
  /**
   * Calls an operation. `data` is the body of a write or patch (JSON text is taken as it is, bytes where the operation
   * reads bytes), else the query.
   * @throws Failure as the server would turn into an error answer
   */
  call(verb: Verb, path: string, data?: unknown, options?: CallOptions): Promise<Outcome>;
  /** Whether policy would take a write here for an update. */
  exists(path: string): Promise<boolean>;
  /** Makes the plugin anew over the same storage, as a restart does. */
  restart(): void;
  readonly events: PluginEvent[];
  readonly logged: { level: string; message: string; facts: Facts }[];
  readonly clock: ManualClock;
  readonly storage: Storage;
  readonly plugin: Plugin;
  readonly mount: Mount;
}

/** Mounts `type`, as `secret/` or `auth/<type>/` unless told. */
export function mountForTest(type: PluginType, options: TestOptions = {}): TestMount {
  const backend = new MemoryBackend();
  const clock = options.clock ?? new ManualClock();
  const events: PluginEvent[] = [];
  const logged: TestMount['logged'] = [];
  const inner = prefixed(backend, 'mount/');
  const storage = options.wrap?.(inner) ?? inner;
  const ttl = options.ttl ?? { defaultMs: 2_764_800_000, maxMs: 2_764_800_000 };

  const log = recording(logged);
  const mount: Mount = {
    uuid: '00000000-0000-4000-8000-000000000001',
    accessor: `${type.name}_00000001`,
    path: options.path ?? (type.kind === 'auth' ? `auth/${type.name}/` : 'secret/'),
    options: options.options ?? {},
    storage,
    clock,
    log,
    ttl: () => ttl,
    random: (bytes) => randomBytes(bytes),
    password: async () => randomBytes(15).toString('base64url'),
    dial:
      options.dial ??
      (async () => {
        throw new Error('this test dials nobody');
      }),
    ...(options.mayReach === undefined ? {} : { mayReach: options.mayReach }),
    emit: (event) => events.push(event),
  };

  let plugin: Plugin;
  let match: Matcher;
  const restart = (): void => {
    plugin = type.create(mount);
    match = compileRoutes(plugin.routes);
  };
  restart();

  return {
    events,
    logged,
    clock,
    storage,
    mount,
    restart,
    get plugin() {
      return plugin;
    },
    async exists(path) {
      const found = find(match, 'write', path);
      return found.route.exists === undefined ? true : found.route.exists(found.params);
    },
    async call(verb, path, data, callOptions = {}) {
      const { route, params } = find(match, verb, path);
      const operation = route.operations[verb];
      if (operation === undefined) throw failure('request.unsupported');
      const given = read(verb, data, operation.raw ?? [], operation.body === 'bytes' ? 'bytes' : 'json');
      const parsed = (operation.input as z.ZodType).safeParse(Object.assign(given, params));
      if (!parsed.success) {
        const issue = parsed.error.issues[0];
        throw failure('request.invalid', { reason: `${issue?.path.join('.')}: ${issue?.message}` });
      }
      const call: Call = {
        id: 'test',
        verb,
        path: parsePath(mount.path + path),
        caller: undefined,
        headers: callOptions.headers ?? {},
        remote: { address: callOptions.remote ?? '127.0.0.1', port: 1 },
        signal: new AbortController().signal,
        tokenScope: () => prefixed(backend, `token/${callOptions.token ?? 'one'}/`),
        reserve: async () => {
          throw new Error('this harness has no leases');
        },
      };
      const reply = await operation.run(parsed.data as never, call);
      return outcome(verb, await whole(reply), operation.output);
    },
  };
}

function find(match: Matcher, verb: Verb, text: string) {
  const path =
    verb === 'list' && text !== '' ? asFolder(parsePath(text)) : text === '' ? undefined : parsePath(text);
  const folder = path?.folder ?? verb === 'list';
  const found = match(path?.segments ?? [], folder);
  if (found === undefined) throw failure('request.unsupported_path');
  return found;
}

function read(verb: Verb, data: unknown, keep: readonly string[], body: 'json' | 'bytes'): object {
  const isBody = verb === 'write' || verb === 'patch';
  if (isBody && body === 'bytes') {
    const text = data === undefined ? '' : typeof data === 'string' ? data : stringify(data);
    return { body: data instanceof Uint8Array ? data : new TextEncoder().encode(text) };
  }
  if (data === undefined) return Object.create(null);
  const json = parseJson(typeof data === 'string' ? data : stringify(data), isBody ? keep : []);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw failure('json.malformed', { reason: 'expected an object' });
  }
  return json;
}

/** A listing that comes in pages, as its caller sees it in the end. */
async function whole(reply: Reply): Promise<Reply> {
  if (!('more' in reply) || reply.more === undefined) return reply;
  const { more, ...rest } = reply;
  const keys = [...(reply.data as { readonly keys: readonly string[] }).keys];
  for await (const page of more) keys.push(...page);
  return { ...rest, data: { keys } };
}

function outcome(verb: Verb, reply: Reply, output: z.ZodType): Outcome {
  if ('raw' in reply) throw new Error('this harness reads no raw replies');
  const warnings = reply.warnings ?? [];
  if ('auth' in reply) {
    return { status: 200, data: null, text: 'null', warnings, lease: undefined, auth: reply.auth };
  }
  const nothing = reply.data === undefined && warnings.length === 0;
  const quiet = verb === 'read' || verb === 'list' ? 404 : 204;
  // A plugin that answers what it did not declare would break docs, forms and clients that were made from the schema.
  if (reply.data !== undefined) output.parse(reply.data);
  return {
    status: reply.status ?? (nothing ? quiet : 200),
    data: reply.data === undefined ? null : JSON.parse(stringify(reply.data)),
    text: stringify(reply.data ?? null),
    warnings,
    lease: reply.lease,
    auth: undefined,
  };
}

function recording(into: TestMount['logged'], base: Facts = {}): Log {
  const at =
    (level: string) =>
    (message: string, facts: Facts = {}): void => {
      into.push({ level, message, facts: { ...base, ...facts } });
    };
  return {
    ...silentLog,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (facts) => recording(into, { ...base, ...facts }),
  };
}
