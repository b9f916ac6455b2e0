/**
 * The contract that secret engines and auth methods are written against, and nothing else. A plugin declares its routes as
 * data; from them come routing, validation, `?help=1`, OpenAPI, reference docs and forms. It sees its own storage, its own
 * clock and the one call it answers: never the server, never another plugin.
 */

import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import type { Json } from '../base/json.ts';
import type { Log } from '../base/log.ts';
import { NOTES, type Noted } from '../base/noted.ts';
import type { Path } from '../base/path.ts';
import type { Soon } from '../base/soon.ts';
import type { Dial } from '../base/web.ts';
import type { Storage } from '../storage/storage.ts';

export type { Dial, WebRequest as DialRequest } from '../base/web.ts';

/** What can be asked of a path. `write` is POST and PUT alike; policy tells create from update by `Route.exists`. */
export type Verb = 'read' | 'list' | 'write' | 'patch' | 'delete';

export interface PluginType {
  readonly name: string;
  readonly kind: 'secret' | 'auth';
  /**
   * What its mounts know they read from their storage, each time or by `near`: a node that follows the leader may answer
   * operations without effect from mounts of its own. Absent: only the leader may.
   */
  readonly follows?: boolean;
  create(mount: Mount): Plugin;
}

export interface Plugin {
  readonly routes: readonly Route[];
  readonly leases?: Readonly<Record<string, LeaseHandler>>;
  /**
   * Auth methods: asked before a token that a login of this mount made is given more time. Gives what a login would be
   * given now. @throws Failure where it may not live on. Absent: the token keeps what it was born with.
   */
  renewLogin?(login: Login, call: Call): Promise<Renewal>;
  /** Does what is due and says when it wants to be called next; runs on the active node only. */
  tick?(): Promise<Date | undefined>;
  close?(): Promise<void>;
  /** How many things of its kind the mount keeps, counted up to `limit`; for the metrics. */
  holdings?(limit: number): Promise<number>;
}

export interface Route {
  /** Segments joined by "/"; ":name" takes one segment, a last "*name" takes the rest, which may be empty. */
  readonly path: string;
  /** `public`: no token needed. `token` (default): policy decides. `sudo`: policy must grant `sudo` as well. */
  readonly access?: 'public' | 'token' | 'sudo';
  readonly operations: Partial<Record<Verb, Operation>>;
  /** Parameters whose case does not matter: folded before policy is asked, so that no spelling goes round a deny. */
  readonly lowercase?: readonly string[];
  /**
   * The last "*name" is base64 of a protocol, not names: the one kind of route that may be asked with encoded slashes. Such a
   * text arrives as one segment in base64url. For public routes alone: policy has no say about what it does not understand.
   */
  readonly opaque?: true;
  /** What its parameters name is found in any case, though kept as written: a deny in one case holds in all. */
  readonly caseless?: boolean;
  /** Answers while the barrier is sealed, and is not audited: the devices' salts are behind it. The server's own routes only. */
  readonly sealed?: boolean;
  /** Whether the thing at the path exists: makes a write an `update`, else it is a `create`. Absent: always `update`. */
  exists?(params: Readonly<Record<string, string>>): Soon<boolean>;
}

/** One operation of a route. `operation()` ties the types of its schema and its function together. */
export interface Operation {
  readonly summary: string;
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  readonly effect: 'none' | 'write';
  /** How the body is read: JSON (default), or bytes handed over as `input.body`; `stream`: as they come in, unbounded. */
  readonly body?: 'json' | 'bytes' | 'stream';
  /** Members of the body that stay JSON text (`RawJson`), to the digit and in their order. */
  readonly raw?: readonly string[];
  /** The members of `data` are repeated beside the envelope's own, for clients older than the envelope. */
  readonly flat?: boolean;
  /**
   * A login that can be guessed at: whose it is. After too many times `login.refused` in a row the server answers for
   * that name without asking, whether or not there is such a name.
   */
  lockout?(input: never): string;
  /** Answers at once where it has to wait for nothing. */
  run(input: never, call: Call): Soon<Reply>;
}

/** Path parameters and body (or query) members are merged, parameters win, and `input` reads the result. */
export function operation<I extends z.ZodType, O extends z.ZodType>(declared: {
  readonly summary: string;
  readonly input: I;
  readonly output: O;
  readonly effect: 'none' | 'write';
  readonly body?: 'json' | 'bytes' | 'stream';
  readonly raw?: readonly string[];
  readonly flat?: boolean;
  lockout?(input: z.output<I>): string;
  run(input: z.output<I>, call: Call): Soon<Reply<z.input<O>>>;
}): Operation {
  return declared as unknown as Operation;
}

/**
 * What an operation answers. Nothing at all becomes 204, or 404 where something was read. A `missing` answer carries
 * its data and warnings with the 404 (KV v2's deleted versions).
 */
export type Reply<O = unknown> =
  | {
      readonly data?: O;
      /** Says that this very object `data` never changes, and may be answered again. */
      readonly lasting?: Lasting;
      readonly warnings?: readonly string[];
      readonly lease?: LeaseInfo;
      /** A batch that failed in part answers with the status that its caller named. */
      readonly status?: number;
      /** What follows the names in `data.keys`, which is then all that `data` holds: a folder too wide for one page. */
      readonly more?: AsyncIterable<readonly string[]>;
    }
  | { readonly auth: Grant; readonly warnings?: readonly string[] }
  | { readonly raw: RawReply };

/** Of an answer that stays as it is: room for what the server makes of it. */
export class Lasting implements Noted {
  /** How it goes out. */
  made: unknown = undefined;
  /** How audit devices write it. */
  [NOTES]: unknown = undefined;
}

export interface RawReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
}

/** What the envelope says of a lease. KV v1 gives only a duration: `id` is empty and nothing is stored. Milliseconds. */
export interface LeaseInfo {
  readonly id: string;
  readonly durationMs: number;
  readonly renewable: boolean;
}

/** A login that succeeded: what the token to be made for it shall hold. */
export interface Grant {
  readonly displayName: string;
  readonly policies: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Name of the caller within this method, for its identity entity. */
  readonly alias?: { readonly name: string; readonly metadata?: Readonly<Record<string, string>> };
  /** Groups that the method says the caller is in now, by their names there: they join external identity groups. */
  readonly groups?: readonly string[];
  readonly token: TokenParams;
}

/** What is known of a login by the token that it made. */
export interface Login {
  readonly displayName: string;
  readonly policies: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a login would be given now, and the groups that its holder is in now where the method can tell. */
export interface Renewal extends TokenParams {
  readonly groups?: readonly string[];
}

/** The token fields that every role of an auth method has. Milliseconds; 0 means: the mount's or system's default. */
export interface TokenParams {
  readonly ttlMs: number;
  readonly maxTtlMs: number;
  readonly explicitMaxTtlMs: number;
  readonly periodMs: number;
  readonly uses: number;
  readonly type: 'default' | 'service' | 'batch';
  readonly noDefaultPolicy: boolean;
  readonly boundCidrs: readonly string[];
  readonly renewable: boolean;
}

/** Who asks. Absent on public routes without a token. */
export interface Caller {
  readonly accessor: string;
  readonly displayName: string;
  readonly policies: readonly string[];
  readonly entityId: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Call {
  readonly id: string;
  readonly verb: Verb;
  /** A read that was asked by HEAD: the answer's body stays behind, which some protocols answer in another way. */
  readonly headersOnly?: boolean;
  /** The whole path of the request, mount included. */
  readonly path: Path;
  readonly caller: Caller | undefined;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly remote: { readonly address: string; readonly port: number };
  /** DER of the client certificate that the TLS layer saw; unverified. */
  readonly peerCertificate?: Uint8Array;
  readonly signal: AbortSignal;
  /** Storage that lives and dies with the caller's token (cubbyhole). */
  tokenScope(): Storage;
  /**
   * Fills the identity of the caller into a text such as "{{identity.entity.name}}", as templates of policies are filled.
   * @param without characters that no value may hold, because they mean something where the text is used
   * @returns undefined where the caller has no identity, or it lacks one of the values
   * @throws Failure request.invalid where the text is no template of an identity
   */
  fill?(template: string, without?: string): Promise<string | undefined>;
  /** Writes a lease, durably, before the credential that it covers is made. */
  reserve(handler: string, state: Json, times?: LeaseTimes): Promise<LeaseInfo>;
}

/** Milliseconds; what is absent is the mount's. The mount's longest life caps both. */
export interface LeaseTimes {
  readonly ttlMs?: number;
  readonly maxTtlMs?: number;
  readonly renewable?: boolean;
}

/** `revoke` is idempotent: after a crash or a throw it is called with the state that was reserved. */
export interface LeaseHandler {
  renew(state: Json, ttlMs: number): Promise<number>;
  revoke(state: Json): Promise<void>;
}

/** What a mounted plugin is given. */
export interface Mount {
  readonly uuid: string;
  readonly accessor: string;
  /** Where it is mounted, with a trailing slash: "secret/", "auth/kubernetes/". */
  readonly path: string;
  readonly options: Readonly<Record<string, string>>;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  /** Default and longest lease and token life on this mount, in milliseconds. */
  ttl(): { readonly defaultMs: number; readonly maxMs: number };
  random(bytes: number): Uint8Array;
  /** A password by the named policy of the server, or by its default. @throws Failure password.unknown */
  password(policy?: string): Promise<string>;
  /** The one way out: allow-listed, size- and time-capped, no redirects. */
  readonly dial: Dial;
  /**
   * Whether the list of the server's own file lets the way out lead to this URL, so that a configuration that names
   * another one is refused when it is written. `dial` judges again, by what it connects to. Absent: nobody knows before.
   */
  mayReach?(url: string): Promise<boolean>;
  /** Tells subscribers that something changed. Called after the commit, with its revision; never carries a value. */
  emit(event: PluginEvent): void;
}

export interface PluginEvent {
  /** As Vault names them: "kv-v2/data-write". */
  readonly type: string;
  /** Below the mount: "data/grafana/admin". */
  readonly path: string;
  readonly operation: string;
  readonly revision: number;
  /** What subscribers are told beside the paths and the operation. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Whether what can be read under `path` changed. */
  readonly modified: boolean;
  /** The path, below the mount, that a subscriber must be allowed to read to hear of it: "data/grafana/admin". */
  readonly dataPath: string;
}
