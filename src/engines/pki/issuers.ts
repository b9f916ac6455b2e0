/** The authorities of a mount: found by reference, put into chains, brought in. */

import { sha256 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import {
  type Certificate,
  certificatePem,
  isChildOf,
  isSelfIssued,
  readCertificate,
  readPem,
} from '../../crypto/x509/certificate.ts';
import { kindOf, privateKeyOfPem, type Signer, signerOf, spkiOf } from '../../crypto/x509/keytype.ts';
import {
  groupName,
  type Issuer,
  type Key,
  NO_URLS,
  type PkiStore,
  type Urls,
  USAGES,
  type Usage,
} from './store.ts';

const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/;

/** @throws Failure pki.request where the name could be taken for another or does not fit a path */
export function checkedName(name: string, what: string): string {
  if (name === '') return name;
  if (name.toLowerCase() === 'default')
    throw failure('pki.request', { reason: `reserved keyword 'default' can not be used as ${what} name` });
  if (!NAME.test(name)) throw failure('pki.request', { reason: `${what} name contained invalid characters` });
  return name;
}

export interface Opened {
  readonly issuer: Issuer;
  readonly certificate: Certificate;
}

export const opened = (issuer: Issuer): Opened => ({
  issuer,
  certificate: readCertificate(Buffer.from(issuer.certificate, 'base64')),
});

/** By id, name or "default". @throws Failure pki.no_issuer, pki.no_default_issuer */
export async function findIssuer(store: PkiStore, reference: string): Promise<Opened> {
  const issuers = await store.all('issuer');
  const wanted = reference === 'default' ? (await store.setting('issuers')).default : reference;
  if (wanted === '') throw failure('pki.no_default_issuer');
  const found = issuers.find(({ id }) => id === wanted) ?? issuers.find(({ name }) => name === wanted);
  if (found === undefined) throw failure('pki.no_issuer', { name: shown(reference) });
  return opened(found);
}

/** @throws Failure pki.no_key */
export async function findKey(store: PkiStore, reference: string): Promise<Key> {
  const wanted = reference === 'default' ? (await store.setting('keys')).default : reference;
  const keys = await store.all('key');
  const found = keys.find(({ id }) => id === wanted) ?? keys.find(({ name }) => name === wanted);
  if (found === undefined || wanted === '') throw failure('pki.no_key', { name: shown(reference) });
  return found;
}

const shown = (text: string): string => text.replace(/[^\w.-]/g, '?').slice(0, 80);

/** An issuer that may and can do this. @throws Failure pki.request, pki.no_key */
export async function signerFor(
  store: PkiStore,
  { issuer }: Opened,
  usage: Usage,
  bits = 0,
  pss = false,
): Promise<Signer> {
  if (!issuer.usage.includes(usage))
    throw failure('pki.request', {
      reason: `requested usage ${usage} for issuer [${issuer.id}] but it only has usage ${issuer.usage.join(',')}`,
    });
  if (issuer.keyId === '')
    throw failure('pki.request', { reason: 'the key of this issuer is not on this mount' });
  return signerOf(await store.privateKey(issuer.keyId), bits, pss);
}

/** The issuer first, then who issued it, as far as that is known here. PEM. */
export async function chainOf(store: PkiStore, { issuer, certificate }: Opened): Promise<string[]> {
  const others = (await store.all('issuer')).map(opened);
  if (issuer.manualChain.length > 0)
    return issuer.manualChain.flatMap((id) => {
      const found = others.find((other) => other.issuer.id === id);
      return found === undefined ? [] : [certificatePem(found.certificate.der)];
    });
  const chain = [certificate];
  for (let last = certificate; !isSelfIssued(last); ) {
    const parent = others.find(
      (other) =>
        !chain.some(({ der }) => der.equals(other.certificate.der)) && isChildOf(last, other.certificate),
    )?.certificate;
    if (parent === undefined) break;
    chain.push(parent);
    last = parent;
  }
  return chain.map(({ der }) => certificatePem(der));
}

/** What issuers with one name and one key have in common: their revocation list. */
export const groupOf = ({ subject, spki }: Certificate): string =>
  groupName(sha256(Buffer.concat([subject, spki])));

/** Where more is to be found: the issuer's own addresses, else the mount's, filled in. */
export async function urlsOf(store: PkiStore, { issuer }: Pick<Opened, 'issuer'>): Promise<Urls> {
  const own = [issuer.urls.issuing, issuer.urls.crl, issuer.urls.ocsp, issuer.urls.delta];
  const urls = own.some((list) => list.length > 0) ? issuer.urls : await store.setting('urls');
  if (!urls.templating) return urls;
  const cluster = await store.setting('cluster');
  const fill = (list: readonly string[]): string[] =>
    list.map((url) =>
      url
        .replaceAll('{{issuer_id}}', issuer.id)
        .replaceAll('{{cluster_path}}', cluster.path)
        .replaceAll('{{cluster_aia_path}}', cluster.aiaPath),
    );
  return {
    ...urls,
    issuing: fill(urls.issuing),
    crl: fill(urls.crl),
    ocsp: fill(urls.ocsp),
    delta: fill(urls.delta),
  };
}

/** Keeps an authority; one with the same certificate stays as it is. @throws Failure pki.request where the name is taken */
export async function keepIssuer(
  store: PkiStore,
  certificate: Certificate,
  name: string,
): Promise<{ issuer: Issuer; existed: boolean }> {
  const encoded = certificate.der.toString('base64');
  const issuers = await store.all('issuer');
  const there = issuers.find((one) => one.certificate === encoded);
  const spki = certificate.spki.toString('base64');
  const keyId = (await store.all('key')).find((key) => key.spki === spki)?.id ?? '';
  if (there !== undefined) {
    if (there.keyId !== '' || keyId === '') return { issuer: there, existed: true };
    const completed = await store.change('issuer', there.id, (before) => ({ ...before, keyId }));
    return { issuer: completed ?? there, existed: true };
  }
  if (name !== '' && issuers.some((one) => one.name === name))
    throw failure('pki.request', { reason: 'issuer name already in use' });
  const issuer: Issuer = {
    id: store.newId(),
    name,
    keyId,
    certificate: encoded,
    manualChain: [],
    usage: USAGES,
    leafBehavior: 'err',
    urls: NO_URLS,
    revoked: 0,
  };
  await store.put('issuer', issuer.id, issuer);
  const { default: current, followsLatest } = await store.setting('issuers');
  if (keyId !== '' && (current === '' || followsLatest))
    await store.changeSetting('issuers', (before) => ({ ...before, default: issuer.id }));
  return { issuer, existed: false };
}

export interface Imported {
  readonly issuers: readonly string[];
  readonly keys: readonly string[];
  readonly existingIssuers: readonly string[];
  readonly existingKeys: readonly string[];
  readonly mapping: Readonly<Record<string, string>>;
}

/**
 * Takes in the certificates of a PEM bundle and, where they are allowed, its private keys.
 * @throws Failure pki.request, pki.malformed
 */
export async function importBundle(store: PkiStore, pem: string, withKeys: boolean): Promise<Imported> {
  const blocks = readPem(pem);
  if (blocks === undefined)
    throw failure('pki.request', { reason: 'the bundle holds no PEM, or what is none' });
  const certificates: Certificate[] = [];
  const keys = [];
  for (const block of blocks) {
    if (block.label === 'CERTIFICATE') {
      const certificate = readCertificate(block.der);
      if (!certificate.isCa)
        throw failure('pki.request', {
          reason: 'Refusing to import non-CA certificate into issuer storage',
        });
      certificates.push(certificate);
    } else if (block.label.endsWith('PRIVATE KEY')) {
      if (!withKeys)
        throw failure('pki.request', {
          reason:
            'private keys found in the PEM bundle but not allowed by the path; use /issuers/import/bundle',
        });
      const key = privateKeyOfPem(block.text);
      const kind = key && kindOf(key);
      if (key === undefined || kind === undefined) throw failure('pki.malformed');
      keys.push({ key, kind });
    } else if (block.label !== 'EC PARAMETERS') throw failure('pki.malformed');
  }
  const keptKeys = [];
  for (const { key, kind } of keys) keptKeys.push(await store.keepKey(key, kind, spkiOf(key), ''));
  for (const { key } of keptKeys) await linkKey(store, key);
  const keptIssuers = [];
  for (const certificate of certificates) keptIssuers.push(await keepIssuer(store, certificate, ''));
  return {
    issuers: keptIssuers.filter(({ existed }) => !existed).map(({ issuer }) => issuer.id),
    existingIssuers: keptIssuers.filter(({ existed }) => existed).map(({ issuer }) => issuer.id),
    keys: keptKeys.filter(({ existed }) => !existed).map(({ key }) => key.id),
    existingKeys: keptKeys.filter(({ existed }) => existed).map(({ key }) => key.id),
    mapping: Object.fromEntries(keptIssuers.map(({ issuer }) => [issuer.id, issuer.keyId])),
  };
}

/** Gives a key that came after its certificates to the issuers that waited for it. */
export async function linkKey(store: PkiStore, key: Key): Promise<void> {
  for (const issuer of await store.all('issuer'))
    if (issuer.keyId === '' && opened(issuer).certificate.spki.toString('base64') === key.spki)
      await store.change('issuer', issuer.id, (before) => ({ ...before, keyId: key.id }));
}
