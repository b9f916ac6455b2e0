/** Which API server is asked, and what it takes to believe its answers. */

import { baseAddress } from '../../base/address.ts';
import { failure } from '../../base/errors.ts';
import { isCertificates } from '../../crypto/pem.ts';
import type { Mount } from '../../plugin/plugin.ts';
import { type Found, Shelf } from '../../plugin/shelf.ts';
import { publicKeyOf } from '../jws.ts';

/** What Kubernetes puts into each pod. */
export interface Local {
  readonly ca: string;
  readonly jwt: string;
}
export type ReadLocal = () => Promise<Local | undefined>;

export interface Config {
  /** https URL without a trailing slash. */
  readonly host: string;
  /** PEM; empty: the pod's own. */
  readonly ca: string;
  /** Empty: the pod's own token, else the token that logs in. Never told to anybody. */
  readonly reviewerJwt: string;
  readonly pemKeys: readonly string[];
  readonly issuer: string;
  readonly checkIssuer: boolean;
  readonly useLocal: boolean;
}

/** What a login works with. */
export interface Effective extends Config {
  readonly localJwt: string;
  /** Changes with each write, so that nothing cached outlives the configuration it was learned under. */
  readonly revision: number;
}

const KEY = 'config';

export class Settings {
  readonly #entries: Shelf<Config>;
  readonly #readLocal: ReadLocal;

  constructor(mount: Pick<Mount, 'storage'>, readLocal: ReadLocal) {
    this.#entries = new Shelf(mount, '');
    this.#readLocal = readLocal;
  }

  stored(): Promise<Found<Config> | undefined> {
    return this.#entries.find(KEY);
  }

  /** @throws Failure kubernetes.not_configured, kubernetes.no_ca */
  async effective(): Promise<Effective> {
    const stored = await this.stored();
    if (stored === undefined) throw failure('kubernetes.not_configured');
    const { value: config, revision } = stored;
    const local = config.useLocal ? await this.#readLocal() : undefined;
    const ca = config.ca || (local?.ca ?? '');
    if (ca === '') throw failure('kubernetes.no_ca');
    return { ...config, ca, localJwt: local?.jwt ?? '', revision };
  }

  /** @throws Failure kubernetes.no_host, kubernetes.host, kubernetes.ca, kubernetes.no_ca, kubernetes.pem_keys */
  async save(given: Config): Promise<void> {
    const config = { ...given, host: checkedHost(given.host) };
    if (config.ca !== '' && !isCertificates(config.ca)) throw failure('kubernetes.ca');
    if (config.ca === '') {
      const local = config.useLocal ? await this.#readLocal() : undefined;
      if (local === undefined || !isCertificates(local.ca)) throw failure('kubernetes.no_ca');
    }
    if (config.pemKeys.some((pem) => publicKeyOf(pem) === undefined)) throw failure('kubernetes.pem_keys');
    await this.#entries.change(KEY, () => config);
  }
}

function checkedHost(host: string): string {
  if (host === '') throw failure('kubernetes.no_host');
  const address = baseAddress(host, ['https:']);
  if (address === undefined) throw failure('kubernetes.host');
  return address;
}
