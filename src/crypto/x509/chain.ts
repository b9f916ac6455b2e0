/**
 * Puts the certificates of a chain in order, from the one at its end to the root. Order is all that it is: nobody's signature, time or
 * usage is looked at, and a chain that comes out is not for that reason one to trust.
 */

import { type Certificate, isSelfIssued, keyIdIn } from './certificate.ts';
import { children, readOne } from './der.ts';
import { EXT } from './extensions.ts';

/** Why certificates have no order. */
export class NoChain extends Error {
  override readonly name = 'NoChain';
}

/** The identifier of the key that signed, where the certificate tells it (RFC 5280 section 4.2.1.1). @throws Failure pki.malformed */
export function authorityKeyIdIn({ extensions }: Certificate): Buffer | undefined {
  const found = extensions.get(EXT.authorityKeyId);
  return found && children(readOne(found.value)).find(({ tag }) => tag === 0x80)?.content;
}

/** Whether nothing is above it: it names itself as its issuer, or its own key as the one that signed. */
export function isRoot(certificate: Certificate): boolean {
  const above = authorityKeyIdIn(certificate);
  if (above === undefined) return isSelfIssued(certificate);
  return keyIdIn(certificate)?.equals(above) === true;
}

/** More than any chain has; each is compared with each. */
const MOST = 256;

interface Link {
  readonly certificate: Certificate;
  readonly isRoot: boolean;
  readonly key: Buffer | undefined;
  readonly above: Buffer | undefined;
}

/** Whether `parent` stands above `child`: by the identifiers of their keys, and by name where one has none. */
function isAbove(parent: Link, child: Link): boolean {
  if (child.isRoot || parent === child) return false;
  return child.above !== undefined && parent.key !== undefined
    ? child.above.equals(parent.key)
    : child.certificate.issuer.equals(parent.certificate.subject);
}

/**
 * The chain from its end to its root, or as far as it goes.
 * @throws NoChain where there are several ends, or none; Failure pki.malformed
 */
export function inOrder(certificates: readonly Certificate[]): Certificate[] {
  if (certificates.length > MOST) throw new NoChain('these are more certificates than a chain has');
  const links: Link[] = certificates.map((certificate) => ({
    certificate,
    isRoot: isRoot(certificate),
    key: keyIdIn(certificate),
    above: authorityKeyIdIn(certificate),
  }));
  const parentOf = new Map<Link, Link>();
  for (const child of links) {
    const parent = links.find((one) => isAbove(one, child));
    if (parent !== undefined) parentOf.set(child, parent);
  }
  const parents = new Set(parentOf.values());
  const ends = links.filter((one) => !parents.has(one));
  if (ends.length > 1) throw new NoChain('found multiple leaf or disjunct certificates');
  const chain: Certificate[] = [];
  for (let next = ends[0]; next !== undefined; next = parentOf.get(next)) {
    if (chain.length === certificates.length) throw new NoChain('constructing chain resulted in cycle');
    chain.push(next.certificate);
  }
  if (chain.length === 0) throw new NoChain('no leaf certificate found');
  return chain;
}
