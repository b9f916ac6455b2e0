/**
 * Which configured certificate lets a client in. The client's own certificate, trusted as it is, goes before the authorities;
 * within each, the order is that of the names. Pure but for reading what is configured.
 */

import type { Mount } from '../../plugin/plugin.ts';
import type { Shelf } from '../../plugin/shelf.ts';
import { fits } from './constraints.ts';
import type { Crl, Entry } from './entry.ts';
import { type Certificate, chainTo, isForClients, isTimely, readPem } from './x509.ts';

export interface Trusted {
  readonly name: string;
  readonly entry: Entry;
}

export interface Trust {
  readonly certs: Shelf<Entry>;
  readonly crls: Shelf<Crl>;
  readonly clock: Mount['clock'];
}

/** @param only the one entry to look at; empty: all */
export async function findTrusted(
  { certs, crls, clock }: Trust,
  client: Certificate,
  only: string,
): Promise<Trusted | undefined> {
  const now = clock.now();
  const names = only === '' ? await certs.names() : [only];
  const entries = (
    await Promise.all(names.map(async (name) => ({ name, entry: await certs.get(name) })))
  ).flatMap(({ name, entry }) => (entry === undefined ? [] : [{ name, entry }]));
  const revoked = await Promise.all((await crls.names()).map((name) => crls.get(name)));
  const isRevoked = ({ serial, issuer }: Certificate): boolean =>
    revoked.some((crl) => crl?.issuer === issuer && crl.serials.includes(serial));

  const anchored = entries.map((trusted) => ({ trusted, anchors: readPem(trusted.entry.certificate) ?? [] }));
  const own = anchored.find(
    ({ trusted: { entry }, anchors }) =>
      anchors.length === 1 &&
      anchors.some((anchor) => !anchor.isCa && Buffer.from(anchor.der).equals(client.der)) &&
      isTimely(client, now) &&
      isForClients(client) &&
      !isRevoked(client) &&
      fits(client, entry),
  );
  if (own !== undefined) return own.trusted;
  return anchored.find(({ trusted: { entry }, anchors }) => {
    const chain = chainTo(client, anchors, now);
    return chain !== undefined && !chain.some(isRevoked) && fits(client, entry);
  })?.trusted;
}
