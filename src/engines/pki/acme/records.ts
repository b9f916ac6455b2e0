/** What an ACME server remembers (RFC 8555 section 7.1). Times in milliseconds since 1970; 0: never. */

import type { Problem } from './problem.ts';

export interface Account {
  readonly id: string;
  /** Where it was made: "acme/", "roles/web/acme/". It is no account anywhere else. */
  readonly directory: string;
  readonly status: 'valid' | 'deactivated' | 'revoked';
  readonly contact: readonly string[];
  /** The public key, its required members alone. */
  readonly jwk: Jwk;
  /** RFC 7638. */
  readonly thumbprint: string;
  readonly created: number;
  readonly ended: number;
  /** The end of the last of its orders and certificates that were tidied away. */
  readonly busyUntil: number;
  /** The id of the binding that it was made with; empty: none. */
  readonly eab: string;
}
export type Jwk = Readonly<Record<string, string>>;

export interface Identifier {
  readonly type: 'dns' | 'ip';
  readonly value: string;
}

export interface Order {
  readonly id: string;
  readonly account: string;
  /** `ready` is never kept: it follows from the authorizations. */
  readonly status: 'pending' | 'valid' | 'invalid';
  readonly expires: number;
  /** As they were asked for, wildcards included. */
  readonly identifiers: readonly Identifier[];
  readonly authorizations: readonly string[];
  /** Of the certificate; empty: none yet. */
  readonly serial: string;
  readonly issuerId: string;
  readonly certificateExpires: number;
}

export const CHALLENGES = ['http-01', 'dns-01', 'tls-alpn-01'] as const;
export type ChallengeType = (typeof CHALLENGES)[number];

export interface Challenge {
  readonly type: ChallengeType;
  readonly token: string;
  readonly status: 'pending' | 'processing' | 'valid' | 'invalid';
  readonly validated: number;
  /** Why the last attempt failed. */
  readonly error?: Problem;
}

export interface Authorization {
  readonly id: string;
  readonly account: string;
  /** Without the wildcard. */
  readonly identifier: Identifier;
  readonly wildcard: boolean;
  readonly status: 'pending' | 'valid' | 'invalid' | 'deactivated';
  readonly expires: number;
  readonly challenges: readonly Challenge[];
}

/** A challenge that a client said it is ready for, and that is still being looked at. */
export interface Validation {
  readonly account: string;
  readonly authorization: string;
  readonly type: ChallengeType;
  readonly thumbprint: string;
  readonly attempts: number;
  readonly due: number;
}

/** A key that binds one new account to somebody the operator knows (RFC 8555 section 7.3.4). */
export interface Eab {
  readonly id: string;
  /** base64url. */
  readonly key: string;
  readonly directory: string;
  readonly created: number;
}

/** Where the certificate of an account came from: who may revoke it. */
export interface Issued {
  readonly order: string;
}

/** The account that a key is of, in one directory. */
export interface Thumbprint {
  readonly account: string;
}

export const EAB_POLICIES = ['not-required', 'new-account-required', 'always-required'] as const;

/** `config/acme`. */
export interface AcmeSettings {
  readonly enabled: boolean;
  readonly allowedIssuers: readonly string[];
  readonly allowedRoles: readonly string[];
  readonly allowRoleExtKeyUsage: boolean;
  /** "sign-verbatim", "forbid" or "role:<name>". */
  readonly directoryPolicy: string;
  /** "address:port"; empty: the system's. */
  readonly resolver: string;
  readonly eabPolicy: (typeof EAB_POLICIES)[number];
}
export const ACME_DEFAULTS: AcmeSettings = {
  enabled: false,
  allowedIssuers: ['*'],
  allowedRoles: ['*'],
  allowRoleExtKeyUsage: false,
  directoryPolicy: 'sign-verbatim',
  resolver: '',
  eabPolicy: 'not-required',
};

/** The folders of the mount's storage that are ACME's own. */
export interface AcmeFolders {
  'acme/account': Account;
  'acme/thumbprint': Thumbprint;
  'acme/order': Order;
  'acme/authorization': Authorization;
  'acme/validation': Validation;
  'acme/issued': Issued;
  'acme/eab': Eab;
}

/** What belongs to an account lies under its id: another account cannot even name it. */
export const below = (account: string, name: string): string => `${account}/${name}`;
