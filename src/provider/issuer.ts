/**
 * Stores some of whose keys name no stored secret but something that issues credentials, each with a life of its own. Each
 * credential has a login of its own, which is made durable before anything is issued under it: taking that login back then
 * takes back whatever it issued, known or not. So a crash at any point leaves nothing that nobody owns.
 */

import type { Json } from '../base/json.ts';
import type { Log } from '../base/log.ts';
import type { WayOut } from './egress.ts';

/** A login for one credential alone. Its `handle` is a secret, and may be kept only where the operator's own secrets are. */
export interface OwnLogin {
  /** All that renewing and taking back need, without the store: that may be gone by then. */
  readonly handle: Json;
  readonly life: Life;
}

/** How long something lives by itself. */
export interface Life {
  /** Milliseconds from when it was granted; undefined: it does not end. */
  readonly ms: number | undefined;
  readonly renewable: boolean;
}

/** What a login issued. */
export interface Issued {
  /** As a provider's `Value`: members as bytes, and the object's own text. */
  readonly value: { readonly fields: ReadonlyMap<string, Uint8Array>; readonly json: string };
  readonly envelope: Envelope;
  /** When what was issued ends by itself, as a certificate does: milliseconds since 1970. */
  readonly notAfter?: number;
}

/** What an answer says of itself beside its data. */
export interface Envelope {
  /** Empty: nothing is kept for it, so it is read anew like any other secret. */
  readonly leaseId: string;
  readonly leaseSeconds: number;
  readonly renewable: boolean;
}

/** One thing that issues, as a key names it. */
export interface Issuance {
  /** As the server knows it: "database/creds/app". */
  readonly path: string;
  /** The key could never have named a stored secret: there is nothing to choose. */
  readonly sole: boolean;
  /** @throws Failure why there is no login */
  open(signal?: AbortSignal): Promise<OwnLogin>;
  /** Asked once: what failed may have issued something all the same, so the login is to be taken back. */
  issue(login: OwnLogin, signal?: AbortSignal): Promise<Issued>;
}

export interface Issuer {
  /**
   * What a key names where `get` found no stored secret, or was not let in. Undefined: nothing that issues, and the answer of
   * `get` stands.
   * @param options `parameters`: name -> value, beside those in the key itself; `chosen`: it was known to issue before, and
   * no stored secret is looked for
   */
  issuance(
    ref: { readonly key: string },
    options: {
      readonly parameters?: Parameters;
      readonly chosen?: boolean;
      readonly signal?: AbortSignal;
    },
  ): Promise<Issuance | undefined>;
}

/** What a lessor may ask: as a provider may, without a store. */
export interface LessorEnv {
  readonly wayOut: WayOut;
  readonly log: Log;
  resolve(host: string, port: number): { readonly host: string; readonly port: number; readonly ca?: string };
}

/** Keeps and takes back what logins issued, by their handles alone. */
export interface Lessor {
  /**
   * Makes the login and the lease last longer.
   * @param lease undefined: there is the login alone; `seconds` is what it was issued for
   * @returns how long each lives from now; absent: as long as it was
   * @throws Failure of kind `unavailable`, `sealed` or `limited` where it may be tried again; any other: it is not renewed any more
   */
  renew(
    handle: Json,
    lease: { readonly id: string; readonly seconds: number } | undefined,
    env: LessorEnv,
  ): Promise<{ readonly login?: Life; readonly lease?: Life }>;
  /** Whether the lease still stands, as far as the server says it: false only where it is known to be gone. */
  stands(handle: Json, leaseId: string, env: LessorEnv): Promise<boolean>;
  /**
   * Takes back the login and with it all that it issued; of a login that is not ours to end, the lease alone. Called again after a failure: what is gone already is no failure.
   * @param leaseId of what it issued, where that is known
   */
  revoke(handle: Json, leaseId: string | undefined, env: LessorEnv): Promise<void>;
}

/** Name -> values, in the order they were written. */
export type Parameters = ReadonlyMap<string, readonly string[]>;

/** A key and what is asked of it: "pki/issue/web?common_name=app.example.com" is written with a common name. */
export function parametersOf(key: string): { readonly path: string; readonly parameters: Parameters } {
  const at = key.indexOf('?');
  const parameters = new Map<string, readonly string[]>();
  if (at === -1) return { path: key, parameters };
  const query = new URLSearchParams(key.slice(at + 1));
  for (const name of new Set(query.keys())) parameters.set(name, query.getAll(name));
  return { path: key.slice(0, at), parameters };
}
