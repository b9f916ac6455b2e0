/**
 * What policies decide. A request is judged by the canonical path it will run on, and every decision names the rule that
 * made it, because `holdfast explain` has to say why.
 */

import type { Json } from '../../base/json.ts';
import type { Path } from '../../base/path.ts';

export type Capability =
  | 'create'
  | 'read'
  | 'update'
  | 'delete'
  | 'list'
  | 'patch'
  | 'sudo'
  | 'subscribe'
  | 'deny';

export interface AclRequest {
  readonly path: Path;
  readonly capability: Exclude<Capability, 'sudo' | 'deny'>;
  /** The route is root-protected: `sudo` is needed in addition. */
  readonly sudo: boolean;
  /** The request's data, for parameter rules; absent where none was sent. */
  readonly parameters?: Readonly<Record<string, Json>>;
  /** The wrapping time asked for, in milliseconds; absent or 0: not wrapped. */
  readonly wrapTtlMs?: number;
  /** For `subscribe`: the event type asked for, because a rule may cover some types alone. */
  readonly eventType?: string;
}

/** The stanza that decided: whose it is, what it says, and where. */
export interface Rule {
  readonly policies: readonly string[];
  readonly path: string;
  readonly capabilities: readonly Capability[];
  readonly line: number;
}

export type Decision =
  | { readonly allowed: true; readonly rule: Rule | 'root' }
  /** `rule` is absent where no stanza matched. `reason` is for people with the right to know, never for the caller. */
  | { readonly allowed: false; readonly rule?: Rule; readonly reason: string };

export interface Granted {
  readonly exact: ReadonlyMap<string, readonly string[]>;
  readonly prefixes: ReadonlyMap<string, readonly string[]>;
}

export interface Acl {
  readonly root: boolean;
  /** What no other rules have: by it, who keeps what they decided tells them from others, and does not keep them. */
  readonly mark: object;
  decide(request: AclRequest): Decision;
  /** In the order that upstream prints; ["deny"] for none, ["root"] for root. */
  capabilities(path: Path): readonly string[];
  /** What is granted by whole paths and by prefixes (without their "*"), as upstream tells it; rules with "+" are left out. */
  granted(): Granted;
  /** The same rules with every path in lower case, to judge names that are one in any case. */
  folded(): Acl;
  /** Whether anything at or below `prefix` ("secret/") is granted at all: the preflight of `sys/internal/ui/mounts`. */
  reaches(prefix: string): boolean;
}
