/** `listener "tcp"`: where the server listens, and with which certificate. */

import { isIP } from 'node:net';
import { blocksOf, type HclBlock } from '../../base/hcl.ts';
import { own } from '../../base/own.ts';
import { type Placed, refusal, Stanza } from './stanza.ts';

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Authorities of client certificates. */
  readonly clientCa: string | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** none: clients are not asked. ask: whoever has a certificate may show it. require: no connection without one. */
  readonly clients: 'none' | 'ask' | 'require';
}

export interface ListenerSettings {
  readonly host: string;
  readonly port: number;
  /** Absent: plain HTTP. */
  readonly tls: TlsFiles | undefined;
  /** Where the other nodes of the cluster are listened for; absent: as cluster_addr or the address says. */
  readonly clusterAddress?: { readonly host: string; readonly port: number };
  /** sys/metrics is read without a token, by whoever reaches this listener. */
  readonly openMetrics: boolean;
}

const KEYS = [
  'address',
  'cluster_address',
  'tls_disable',
  'tls_cert_file',
  'tls_key_file',
  'tls_client_ca_file',
  'tls_min_version',
  'tls_require_and_verify_client_cert',
  'tls_disable_client_certs',
  'telemetry',
] as const;
const TELEMETRY_KEYS = [
  'unauthenticated_metrics_access',
  'disallow_metrics',
  'metrics_only',
  'prometheus_retention_time',
  'disable_hostname',
] as const;
/** As Vault has it: not reachable from outside unless somebody says so. */
const ADDRESS = '127.0.0.1:8200';
const VERSIONS: Readonly<Record<string, TlsFiles['minVersion']>> = { tls12: 'TLSv1.2', tls13: 'TLSv1.3' };

/** Every listener of one item, with what is to be said of it. @throws Failure config.invalid */
export function readListeners(placed: Placed, notes: string[]): readonly ListenerSettings[] {
  return blocksOf(placed.item).map((block) => readListener(placed.file, block, notes));
}

function readListener(file: string, block: HclBlock, notes: string[]): ListenerSettings {
  const at = { file, line: block.line };
  if (block.label !== 'tcp')
    throw refusal(at, `there is no listener ${JSON.stringify(block.label)}`, 'Write listener "tcp" { ... }.');
  const items = block.items.map((item) => ({ file, item }));
  const stanza = new Stanza('listener "tcp"', items, KEYS);
  const lineOf = (key: string) => ({ file, line: stanza.one(key)?.item.line ?? block.line });

  const text = stanza.text('address') ?? ADDRESS;
  const address = addressOf(text);
  if (address === undefined)
    throw refusal(
      lineOf('address'),
      'the address is not HOST:PORT',
      'Write address = "0.0.0.0:8200", or "[::]:8200" for every address of either version.',
    );
  const cluster = stanza.text('cluster_address');
  const clusterAddress = cluster === undefined ? undefined : addressOf(cluster);
  if (cluster !== undefined && clusterAddress === undefined)
    throw refusal(
      lineOf('cluster_address'),
      'the cluster_address is not HOST:PORT',
      'Write cluster_address = "0.0.0.0:8201", and the same port in cluster_addr.',
    );
  const nodes = clusterAddress === undefined ? {} : { clusterAddress };
  const metrics = stanza.block('telemetry', TELEMETRY_KEYS);
  const openMetrics = metrics?.truth('unauthenticated_metrics_access') ?? false;
  for (const key of ['disallow_metrics', 'metrics_only'])
    if (metrics?.truth(key) === true)
      throw refusal(
        at,
        `${key} of a listener is not offered`,
        'Remove it: give who may read sys/metrics a policy, and reach the rest through another address.',
      );
  // They stand in the wrong block often enough, and change nothing here: a value is still checked.
  metrics?.duration('prometheus_retention_time');
  metrics?.truth('disable_hostname');

  if (stanza.truth('tls_disable') === true) {
    if (stanza.has('tls_cert_file'))
      notes.push(`The listener on ${text} has a certificate, and tls_disable leaves it unused.`);
    return { ...address, ...nodes, tls: undefined, openMetrics };
  }
  const cert = stanza.text('tls_cert_file');
  const key = stanza.text('tls_key_file');
  if (!cert || !key)
    throw refusal(
      at,
      `the listener has no ${cert ? 'tls_key_file' : 'tls_cert_file'}`,
      'Name both files, or write tls_disable = true where something in front of it ends TLS.',
    );
  const version = stanza.text('tls_min_version') ?? 'tls12';
  const minVersion = own(VERSIONS, version);
  if (minVersion === undefined)
    throw refusal(
      lineOf('tls_min_version'),
      `tls_min_version ${JSON.stringify(version.slice(0, 40))} is not offered`,
      'Write "tls12" or "tls13": what is older is broken.',
    );
  const require = stanza.truth('tls_require_and_verify_client_cert') === true;
  const clientCa = stanza.text('tls_client_ca_file');
  if (require && !clientCa)
    throw refusal(
      lineOf('tls_require_and_verify_client_cert'),
      'client certificates are required, and no authority for them is named',
      'Add tls_client_ca_file.',
    );
  const none = stanza.truth('tls_disable_client_certs') === true;
  if (require && none)
    throw refusal(
      lineOf('tls_disable_client_certs'),
      'client certificates are both required and disabled',
      'Keep one of tls_require_and_verify_client_cert and tls_disable_client_certs.',
    );
  const clients = require ? 'require' : none ? 'none' : 'ask';
  return {
    ...address,
    ...nodes,
    tls: { cert, key, clientCa: clientCa || undefined, minVersion, clients },
    openMetrics,
  };
}

/** ":8200" and "[::]:8200" are every address of this machine. */
function addressOf(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^[\]:\s/]*)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, six, other, digits] = match;
  const port = Number(digits);
  if (port > 65535 || (six !== undefined && isIP(six) !== 6)) return undefined;
  return { host: six ?? (other === '' ? '::' : (other ?? '')), port };
}
