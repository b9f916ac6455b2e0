/**
 * Who read a path, out of the lines of an audit trail. Pure: lines go in, one by one and in their order, and reads come out.
 * Names, entities and addresses are in the clear there; tokens and accessors are hashed, and stay so.
 */

import { entryOf } from './trail.ts';

export interface ReadEntry {
  readonly time: string;
  readonly display_name: string;
  readonly entity_id: string;
  readonly accessor: string;
  readonly remote_address: string;
  readonly operation: string;
  readonly path: string;
  readonly allowed: boolean;
  /** What came of it: read, nothing there, denied, failed, or no answer (the server ended, or no device took the answer). */
  readonly outcome: 'read' | 'nothing' | 'denied' | 'failed' | 'unanswered';
}

export interface ReadQuery {
  /** A secret ("secret/app" or "secret/data/app"), or all below a folder ("secret/team/*"). */
  readonly path: string;
  /** Milliseconds since the epoch, inclusive. */
  readonly since?: number;
  readonly until?: number;
  /** Listings and metadata too, which tell names and not values. */
  readonly lists?: boolean;
  /** What was denied, failed, found nothing or was never answered too. */
  readonly attempts?: boolean;
}

type Bag = Readonly<Record<string, unknown>>;

interface Found {
  readonly entry: ReadEntry;
  /** What the request would tell. */
  readonly kind: 'value' | 'names' | 'nothing';
}

/** Requests whose answer was not seen yet, at most: beyond it the oldest is told as unanswered. */
const PENDING = 10_000;
/** Parts of a KV path that version 2 puts between the mount and the secret. */
const KV_PART = /^(data|metadata|subkeys|delete|undelete|destroy)\/(.*)$/s;

/** Reads a trail; call `take` with each line and `end` after the last. */
export class ReadFinder {
  readonly #query: ReadQuery;
  readonly #tell: (entry: ReadEntry) => void;
  readonly #isMeant: (path: string) => boolean;
  readonly #needle: string;
  /** By the id of the request. */
  readonly #pending = new Map<string, Found>();
  /** Wrapping tokens, hashed, that hold what was read: whoever opens one reads it. */
  readonly #wrapped = new Map<string, string>();
  #unreadable = 0;

  constructor(query: ReadQuery, tell: (entry: ReadEntry) => void) {
    this.#query = query;
    this.#tell = tell;
    const typed = query.path.replace(/^\/+|\/+$/g, '');
    const folder = typed.endsWith('/*') ? typed.slice(0, -1) : undefined;
    this.#isMeant = folder === undefined ? (path) => path === typed : (path) => `${path}/`.startsWith(folder);
    // Whatever a KV mount puts between them, each part of the path stands in the line as it is.
    const parts = typed.split('/').filter((part) => part !== '*');
    const longest = parts.sort((a, b) => b.length - a.length)[0] ?? '';
    this.#needle = JSON.stringify(longest).slice(1, -1);
  }

  /** Lines that are no line of a trail. */
  get unreadable(): number {
    return this.#unreadable;
  }

  take(line: string): void {
    if (line === '' || !(line.includes(this.#needle) || line.includes('sys/wrapping/'))) return;
    const entry = entryOf(line);
    const request = bag(entry?.['request']);
    if (entry === undefined || request === undefined) {
      this.#unreadable++;
      return;
    }
    const answered = entry['type'] === 'response';
    const response = answered ? bag(entry['response']) : undefined;
    const token = text(bag(response?.['wrap_info']), 'token');
    const meant = this.#isMeantBy(request);
    const opened = this.#openedPath(request);
    // Wrapped, or wrapped again: whoever opens the new token reads it.
    if (token !== '' && (meant || opened !== undefined))
      this.#wrapped.set(token, opened ?? text(request, 'path'));
    if (!meant && (opened === undefined || !text(request, 'path').endsWith('/unwrap'))) return;
    const id = text(request, 'id');
    if (answered) {
      this.#pending.delete(id);
      this.#say(this.#read(entry, request, response, outcomeOf(entry, response)));
    } else {
      this.#pending.set(id, this.#read(entry, request, undefined, 'unanswered'));
      const [oldest] = this.#pending;
      if (this.#pending.size > PENDING && oldest !== undefined) this.#unanswered(...oldest);
    }
  }

  end(): void {
    for (const [id, found] of this.#pending) this.#unanswered(id, found);
  }

  #unanswered(id: string, found: Found): void {
    this.#pending.delete(id);
    this.#say(found);
  }

  #isMeantBy(request: Bag): boolean {
    return this.#isMeant(trimmed(text(request, 'path'))) || this.#isMeant(secretOf(request));
  }

  /** What an unwrap gives out, or a rewrap hands on, where it was wrapped from a path that is asked for. */
  #openedPath(request: Bag): string | undefined {
    if (!/^sys\/wrapping\/(unwrap|rewrap)$/.test(text(request, 'path'))) return undefined;
    return (
      this.#wrapped.get(text(request, 'client_token')) ??
      this.#wrapped.get(text(bag(request['data']), 'token'))
    );
  }

  #read(entry: Bag, request: Bag, response: Bag | undefined, outcome: ReadEntry['outcome']): Found {
    const auth = bag(entry['auth']);
    const opened = this.#openedPath(request);
    const operation = text(request, 'operation');
    const allowed = bag(auth?.['policy_results'])?.['allowed'];
    const read: ReadEntry = {
      time: text(entry, 'time'),
      display_name: text(auth, 'display_name'),
      entity_id: text(auth, 'entity_id'),
      accessor: text(auth, 'accessor') || text(request, 'client_token_accessor'),
      remote_address: text(request, 'remote_address'),
      operation:
        opened !== undefined ? 'unwrap' : response?.['wrap_info'] ? `${operation}, wrapped` : operation,
      path: opened ?? text(request, 'path'),
      allowed: typeof allowed === 'boolean' ? allowed : text(entry, 'error') === '',
      outcome,
    };
    return { entry: read, kind: opened === undefined ? kindOf(request, response) : 'value' };
  }

  #say({ entry, kind }: Found): void {
    const { since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY } = this.#query;
    const at = Date.parse(entry.time);
    if (at < since || at > until) return;
    if (entry.outcome !== 'read' && this.#query.attempts !== true) return;
    if (kind === 'value' || (kind === 'names' && this.#query.lists === true)) this.#tell(entry);
  }
}

/**
 * What a request would tell. Outside KV, writes count that gave something back: transit/decrypt and pki/issue hand out
 * secrets by writing. In KV a write gives back a version alone.
 */
function kindOf(request: Bag, response: Bag | undefined): Found['kind'] {
  const verb = text(request, 'operation');
  if (verb === 'list') return 'names';
  const isKv = text(request, 'mount_type') === 'kv';
  if (verb === 'read') {
    const [, part] = KV_PART.exec(text(request, 'path').slice(text(request, 'mount_point').length)) ?? [];
    return isKv && (part === 'metadata' || part === 'subkeys') ? 'names' : 'value';
  }
  const gave = ['data', 'wrap_info'].some((part) => response === undefined || response[part] !== undefined);
  return !isKv && gave && (verb === 'update' || verb === 'create') ? 'value' : 'nothing';
}

function outcomeOf(entry: Bag, response: Bag | undefined): ReadEntry['outcome'] {
  const error = text(entry, 'error');
  if (/permission denied/.test(error)) return 'denied';
  if (error !== '') return 'failed';
  const gave = ['data', 'wrap_info', 'auth', 'secret'].some((part) => response?.[part] !== undefined);
  return gave ? 'read' : 'nothing';
}

/** The secret of a KV request, without what version 2 puts between. */
function secretOf(request: Bag): string {
  const path = trimmed(text(request, 'path'));
  const mount = text(request, 'mount_point');
  if (text(request, 'mount_type') !== 'kv' || !path.startsWith(mount)) return path;
  const [, , rest] = KV_PART.exec(path.slice(mount.length)) ?? [];
  return rest === undefined ? path : mount + rest;
}

const trimmed = (path: string): string => path.replace(/\/+$/, '');
const bag = (value: unknown): Bag | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Bag) : undefined;
const text = (from: Bag | undefined, key: string): string => {
  const value = from?.[key];
  return typeof value === 'string' ? value : '';
};
