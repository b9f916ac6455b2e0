/**
 * The certificate of the webhook: one of its own, kept in a Secret that all replicas share, or one that somebody else mounts.
 * With each certificate of its own comes a new authority, whose key is thrown away once it has signed: what is kept can
 * serve under the name of the webhook and sign nothing. The API server trusts the newest authority and the one before,
 * so replicas may change over one after the other.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { isFailure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { bagOf, listOf } from '../../base/shape.ts';
import { createAuthority, issueCertificate } from '../../crypto/certificate.ts';
import type { Kube, KubeObject, Name } from '../../kube/kube.ts';
import { OPERATOR_NAME } from '../../operator/api/rbac.ts';
import { SECRETS, VALIDATING_WEBHOOKS } from '../../operator/api/resources.ts';
import { WEBHOOK_CONFIGURATION } from '../../operator/api/rights.ts';
import { readTls } from '../server/files.ts';

/** PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** What is to be served now. Asked again and again. */
export type PairSource = () => Promise<Pair>;

/** The Service in front of the webhook, and the Secret with its certificate, in the operator's own namespace. */
export const WEBHOOK_NAME = `${OPERATOR_NAME}-webhook`;

const DAY = 86_400_000;
const LIFETIME = 90 * DAY;

/** `tls.crt` and `tls.key` of a folder, such as a Secret of cert-manager is mounted. */
export const mountedPair =
  (folder: string): PairSource =>
  () =>
    readTls({
      cert: join(folder, 'tls.crt'),
      key: join(folder, 'tls.key'),
      clientCa: undefined,
      minVersion: 'TLSv1.2',
      clients: 'none',
    });

export interface OwnPairOptions {
  readonly kube: Pick<Kube, 'get' | 'create' | 'update' | 'patch'>;
  /** The operator's own. */
  readonly namespace: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
}

/**
 * A pair that is made where there is none, renewed when two thirds of its life are over, and served once the API server
 * is told to trust it. @throws Failure kube.*
 */
export function ownPair(options: OwnPairOptions): PairSource {
  let missed = false;
  return async () => {
    const kept = await keptPair(options);
    const isThere = await announce(options.kube, kept.authorities);
    if (!isThere && !missed)
      options.log.warn('nobody asks the webhook: its ValidatingWebhookConfiguration is not there', {
        name: WEBHOOK_CONFIGURATION,
      });
    missed = !isThere;
    return { cert: kept.cert, key: kept.key };
  };
}

interface Kept extends Pair {
  /** PEM, each with its newline; the one that signed comes first. */
  readonly authorities: readonly string[];
  /** Milliseconds since 1970. */
  readonly renewAt: number;
}

async function keptPair(options: OwnPairOptions): Promise<Kept> {
  const { kube, namespace, now } = options;
  const name: Name = { resource: SECRETS, namespace, name: WEBHOOK_NAME };
  const stored = await kube.get(name);
  const kept = readPair(stored, namespace, now());
  if (kept !== undefined && now() < kept.renewAt) return kept;
  try {
    return await makePair(options, name, stored, kept);
  } catch (error) {
    // Another replica was first: its pair is the pair.
    if (!isFailure(error, 'kube.exists') && !isFailure(error, 'kube.conflict')) throw error;
    const made = readPair(await kube.get(name), namespace, now());
    if (made === undefined) throw error;
    return made;
  }
}

async function makePair(
  { kube, namespace, now, log }: OwnPairOptions,
  name: Name,
  stored: KubeObject | undefined,
  before: Kept | undefined,
): Promise<Kept> {
  const authority = await createAuthority('holdfast webhook', now());
  const issued = await issueCertificate(authority, {
    names: hostsOf(namespace),
    ips: [],
    lifetime: LIFETIME,
    now: now(),
  });
  const authorities = [authority.certificate, ...(before?.authorities.slice(0, 1) ?? [])];
  const data = encoded({
    'ca.crt': authorities.join(''),
    'tls.crt': issued.certificate,
    'tls.key': issued.key,
  });
  if (stored === undefined)
    await kube.create(name, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: WEBHOOK_NAME, namespace, labels: { 'app.kubernetes.io/part-of': 'holdfast' } },
      type: 'kubernetes.io/tls',
      data,
    });
  else await kube.update(name, { ...stored, data });
  log.info('made a certificate for the webhook', { namespace, secret: WEBHOOK_NAME });
  const cert = issued.certificate;
  return { cert, key: issued.key, authorities, renewAt: renewalOf(new X509Certificate(cert)) };
}

const hostsOf = (namespace: string): readonly [string, ...string[]] => [
  `${WEBHOOK_NAME}.${namespace}.svc`,
  `${WEBHOOK_NAME}.${namespace}.svc.cluster.local`,
];

const encoded = (texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));

/** What a Secret holds; undefined where it is not a pair that the API server would take from us now. */
function readPair(secret: KubeObject | undefined, namespace: string, now: number): Kept | undefined {
  const data = bagOf(secret?.['data']);
  const text = (key: string): string => Buffer.from(String(data[key] ?? ''), 'base64').toString();
  const [cert, key] = [text('tls.crt'), text('tls.key')];
  const authorities = certificatesOf(text('ca.crt'));
  try {
    const certificate = new X509Certificate(cert);
    const signer = new X509Certificate(authorities[0] ?? '');
    const stands =
      certificate.checkPrivateKey(createPrivateKey(key)) &&
      certificate.verify(signer.publicKey) &&
      certificate.checkHost(hostsOf(namespace)[0]) !== undefined &&
      Date.parse(certificate.validFrom) <= now &&
      now < Date.parse(certificate.validTo);
    return stands ? { cert, key, authorities, renewAt: renewalOf(certificate) } : undefined;
  } catch {
    return undefined;
  }
}

/** When two thirds of its life are over. */
function renewalOf({ validFrom, validTo }: X509Certificate): number {
  const from = Date.parse(validFrom);
  return from + ((Date.parse(validTo) - from) * 2) / 3;
}

const certificatesOf = (text: string): readonly string[] =>
  (text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((one) => `${one}\n`);

/**
 * Has the API server trust the authorities. A bundle that holds the first of them stays as it is: a replica that has not
 * yet seen a renewal must not take the new authority out again.
 * @returns whether there is a configuration of ours
 */
async function announce(kube: OwnPairOptions['kube'], authorities: readonly string[]): Promise<boolean> {
  const name: Name = { resource: VALIDATING_WEBHOOKS, name: WEBHOOK_CONFIGURATION };
  const found = await kube.get(name);
  if (found === undefined) return false;
  const webhooks = listOf(found['webhooks']).map(bagOf);
  const isTrusted = ({ caBundle }: { readonly caBundle?: unknown }): boolean =>
    certificatesOf(Buffer.from(String(caBundle ?? ''), 'base64').toString()).includes(authorities[0] ?? '');
  if (webhooks.every(({ clientConfig }) => isTrusted(bagOf(clientConfig)))) return true;
  const caBundle = Buffer.from(authorities.join('')).toString('base64');
  await kube.patch(name, {
    metadata: { resourceVersion: found.metadata.resourceVersion },
    webhooks: webhooks.map((webhook) => ({
      ...webhook,
      clientConfig: { ...bagOf(webhook['clientConfig']), caBundle },
    })),
  });
  return true;
}
