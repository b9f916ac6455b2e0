/**
 * Where stores may have the operator connect to. Their addresses are a tenant's to write, and the operator stands where
 * tenants do not: beside its own loopback, and where a cloud keeps the keys of its machines. What is judged is the address
 * that is connected to, not the name: a name can answer twice.
 */

import { inCidrs } from '../base/cidr.ts';
import { failure } from '../base/errors.ts';
import type { Dial } from '../base/web.ts';

export type { Dial, WebRequest } from '../base/web.ts';

/** A connection: the host and port that the manifest named, and the address that they led to. */
export interface At {
  readonly host: string;
  readonly port: number;
  readonly ip: string;
}

export type Judge = (at: At) => boolean;

export interface EgressRules {
  /** The operator's own list, which no manifest can change. */
  allowed(at: At): boolean;
  /** Whether the API of the operator's own cluster answers there. */
  isCluster(at: At): boolean;
}

/** The ways out of a provider. */
export interface WayOut {
  /** HTTP to whatever a manifest names. @throws Failure dial.* */
  readonly dial: Dial;
  /** Whether a client that keeps its connections (Vault's) may connect there: the same list. */
  readonly mayReach: Judge;
  /** Whether a client of a Kubernetes API may connect there. */
  readonly mayReachCluster: Judge;
}

/** Link-local, where clouds serve the keys of their machines: never, whatever a list says. */
const NEVER = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254', '100.100.100.200'];
/** The operator's own machine; 0.0.0.0 leads there, too. */
const OWN = ['127.0.0.0/8', '::1', '0.0.0.0/8', '::'];

/**
 * For requests over HTTP: anywhere but link-local addresses, the operator's own machine and the API of its cluster, unless
 * its own list has them (link-local not even then).
 */
export const webJudge =
  (rules: EgressRules): Judge =>
  (at) => {
    if (inCidrs(at.ip, NEVER)) return false;
    if (rules.allowed(at)) return true;
    return !inCidrs(at.ip, OWN) && !rules.isCluster(at);
  };

/** For clients of a Kubernetes API: the same, and the API of the own cluster, which such a store is made for. */
export const clusterJudge = (rules: EgressRules): Judge => {
  const web = webJudge(rules);
  return (at) => web(at) || (rules.isCluster(at) && !inCidrs(at.ip, NEVER));
};

/** Leads nowhere: for operators that were given no way out. */
export const NO_WAY_OUT: WayOut = {
  dial: ({ url }) => {
    const { hostname: host, port } = new URL(url);
    return Promise.reject(failure('dial.refused', { host, port: port || '443' }));
  },
  mayReach: () => false,
  mayReachCluster: () => false,
};
