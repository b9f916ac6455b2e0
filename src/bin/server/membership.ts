/** Where a node of a cluster is reached, by clients and by the other nodes, from what its configuration says. Pure. */

import type { ServerConfig } from '../../server/config/config.ts';

type Place = { readonly host: string; readonly port: number };
type Listening = Pick<ServerConfig['listeners'][number], 'host' | 'port' | 'clusterAddress'> & {
  readonly tls: unknown;
};

export interface Membership {
  /** What clients are sent to, given the address that was bound. */
  apiAddress(bound: Place | undefined): string;
  /** Where the other nodes are listened for; absent where disable_clustering says so. */
  readonly bind?: Place;
  /** What the other nodes are told, given the port that was bound. */
  clusterAddress(port: number): string;
}

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::', '']);

/**
 * As upstream derives them: the port of the other nodes is the one above the listener's, where nothing else is said.
 * @param hostname of this machine, for a listener on all addresses
 */
export function membershipOf(
  config: Pick<ServerConfig, 'apiAddress' | 'clusterAddress' | 'disableClustering'> & {
    readonly listeners: readonly Listening[];
  },
  hostname: string,
): Membership {
  const [first] = config.listeners;
  const host = first?.host ?? '127.0.0.1';
  const named = WILDCARDS.has(host) ? hostname : host.includes(':') ? `[${host}]` : host;
  const above = first === undefined || first.port === 0 ? 0 : first.port + 1;
  const given = config.clusterAddress === '' ? undefined : Number(new URL(config.clusterAddress).port) || 443;
  return {
    apiAddress: (bound) =>
      config.apiAddress ||
      (bound === undefined ? '' : `${first?.tls === undefined ? 'http' : 'https'}://${named}:${bound.port}`),
    ...(config.disableClustering ? {} : { bind: first?.clusterAddress ?? { host, port: given ?? above } }),
    clusterAddress: (port) => config.clusterAddress || `https://${named}:${port}`,
  };
}
