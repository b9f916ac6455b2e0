/**
 * Name constraints of an authority (RFC 5280 section 4.2.1.10): written, read, and asked whether names keep to them. A
 * certificate that breaks those of its issuer is worth nothing to whoever checks it, so it is not issued. Pure.
 */

import { failure } from '../../base/errors.ts';
import { children, implicit, readOne, sequence, tlv } from '../../crypto/x509/der.ts';
import { EXT, type Extension, extensionOf } from '../../crypto/x509/extensions.ts';
import { ipBytes, type Names } from '../../crypto/x509/name.ts';

export interface Subtrees {
  readonly dns: readonly string[];
  readonly emails: readonly string[];
  readonly uris: readonly string[];
  /** Networks: "10.0.0.0/8". */
  readonly ips: readonly string[];
}
export interface Constraints {
  readonly permitted: Subtrees;
  readonly excluded: Subtrees;
}

const isNone = (trees: Subtrees): boolean => Object.values(trees).every((list) => list.length === 0);

/** The extension, or undefined where nothing is constrained. @throws Failure pki.request */
export function constraintsExtension({ permitted, excluded }: Constraints): Buffer | undefined {
  if (isNone(permitted) && isNone(excluded)) return undefined;
  const parts = [
    ...(isNone(permitted) ? [] : [tlv(0xa0, ...encoded(permitted))]),
    ...(isNone(excluded) ? [] : [tlv(0xa1, ...encoded(excluded))]),
  ];
  return extensionOf(EXT.nameConstraints, { critical: true, value: sequence(...parts) });
}

const encoded = (trees: Subtrees): Buffer[] => [
  ...trees.emails.map((email) => sequence(implicit(1, Buffer.from(email, 'latin1')))),
  ...trees.dns.map((name) => sequence(implicit(2, Buffer.from(name, 'latin1')))),
  ...trees.uris.map((host) => sequence(implicit(6, Buffer.from(host, 'latin1')))),
  ...trees.ips.map((network) => sequence(implicit(7, networkBytes(network)))),
];

function networkBytes(network: string): Buffer {
  const [host = '', size = ''] = network.split('/');
  const address = ipBytes(host);
  const bits = Number(size);
  if (!/^\d{1,3}$/.test(size) || bits > address.length * 8)
    throw failure('pki.request', { reason: 'an IP range must be written as address/bits' });
  const mask = Buffer.from(
    address.map((_, index) => 0xff & (0xff00 >> Math.min(8, Math.max(0, bits - index * 8)))),
  );
  return Buffer.concat([address.map((byte, index) => byte & (mask[index] ?? 0)), mask]);
}

interface Tree {
  readonly kind: number;
  readonly value: Buffer;
}

/** The first name that breaks the constraints, or undefined. @throws Failure pki.malformed */
export function brokenBy({ value }: Extension, names: Names): string | undefined {
  const [permitted, excluded] = [0xa0, 0xa1].map((tag) =>
    children(readOne(value))
      .filter((part) => part.tag === tag)
      .flatMap((part) => children(part, tag))
      .flatMap((subtree) => children(subtree).slice(0, 1))
      .map(({ tag: kind, content }): Tree => ({ kind: kind & 0x1f, value: content })),
  ) as [Tree[], Tree[]];

  const asked: readonly (readonly [number, readonly string[]])[] = [
    [1, names.emails],
    [2, names.dns],
    [6, names.uris],
    [7, names.ips],
  ];
  for (const [kind, list] of asked) {
    const own = permitted.filter((tree) => tree.kind === kind);
    const barred = excluded.filter((tree) => tree.kind === kind);
    for (const name of list) {
      // RFC 5280 section 4.2.1.10: a URI without a host name MUST be rejected where URIs are constrained at all.
      if (kind === 6 && own.length + barred.length > 0 && hostOf(name) === undefined) return name;
      if (own.length > 0 && !own.some((tree) => isWithin(name, tree))) return name;
      if (barred.some((tree) => isWithin(name, tree))) return name;
    }
  }
  return undefined;
}

function isWithin(name: string, { kind, value }: Tree): boolean {
  if (kind === 7) {
    const address = ipBytes(name);
    const size = address.length;
    return (
      value.length === size * 2 &&
      address.every((byte, i) => (byte & (value[size + i] ?? 0)) === (value[i] ?? 0))
    );
  }
  const tree = value.toString('latin1').toLowerCase();
  const given = name.toLowerCase();
  if (kind === 2) return tree === '' || given === tree.replace(/^\./, '') || given.endsWith(dotted(tree));
  if (kind === 1) {
    if (tree.includes('@')) return given === tree;
    return hostWithin(given.slice(given.lastIndexOf('@') + 1), tree);
  }
  const host = hostOf(name);
  return host !== undefined && hostWithin(host, tree);
}

/** The host name of a URI; undefined where it has none, or an address in its stead. */
function hostOf(uri: string): string | undefined {
  const host = URL.canParse(uri) ? new URL(uri).hostname.toLowerCase() : '';
  return host === '' || host.startsWith('[') || /^[\d.]+$/.test(host) ? undefined : host;
}

const dotted = (tree: string): string => (tree.startsWith('.') ? tree : `.${tree}`);
/** Of mail and URIs: ".example.com" is what lies below, "example.com" that host alone. */
const hostWithin = (host: string, tree: string): boolean =>
  tree.startsWith('.') ? host.endsWith(tree) : host === tree;
