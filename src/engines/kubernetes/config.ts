/** Which cluster tokens are made in, and as whom: written by an administrator, or given by the pod that the server runs in. */

import { baseAddress } from '../../base/address.ts';
import { failure } from '../../base/errors.ts';
import { isCertificates } from '../../crypto/pem.ts';
import type { Mount } from '../../plugin/plugin.ts';
import { type Found, Shelf } from '../../plugin/shelf.ts';

export interface Pod {
  /** CA and token of the pod's own account, read anew each time, for they are renewed. */
  readonly readLocal?: () => Promise<{ readonly ca: string; readonly jwt: string } | undefined>;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface Config {
  /** https URL without a trailing slash; empty: the cluster that the pod runs in. */
  readonly host: string;
  /** PEM; empty: the pod's own. */
  readonly ca: string;
  /** Empty: the pod's own token. Never told to anybody. */
  readonly jwt: string;
  readonly useLocal: boolean;
}

/** What a request to the cluster is made with. */
export interface Access {
  readonly host: string;
  readonly ca: string;
  readonly jwt: string;
}

const KEY = 'config';
export const NO_CONFIG: Config = { host: '', ca: '', jwt: '', useLocal: true };
const HOST = 'KUBERNETES_SERVICE_HOST';
const PORT = 'KUBERNETES_SERVICE_PORT_HTTPS';

export class Settings {
  readonly #entries: Shelf<Config>;
  readonly #pod: Pod;

  constructor(mount: Pick<Mount, 'storage'>, pod: Pod) {
    this.#entries = new Shelf(mount, '');
    this.#pod = pod;
  }

  stored(): Promise<Found<Config> | undefined> {
    return this.#entries.find(KEY);
  }

  /** @throws Failure serviceaccounts.not_configured, serviceaccounts.no_host, serviceaccounts.no_jwt, kubernetes.no_ca */
  async access(): Promise<Access> {
    const stored = await this.stored();
    if (stored === undefined) throw failure('serviceaccounts.not_configured');
    const { value: config } = stored;
    const local = config.useLocal ? await this.#pod.readLocal?.() : undefined;
    const host = config.host || this.#hostOfPod();
    const ca = config.ca || (local?.ca ?? '');
    const jwt = config.jwt || (local?.jwt ?? '');
    if (host === undefined) throw failure('serviceaccounts.no_host');
    if (ca === '') throw failure('kubernetes.no_ca');
    if (jwt === '') throw failure('serviceaccounts.no_jwt');
    return { host, ca, jwt };
  }

  /**
   * @param next makes the new configuration of the old one
   * @throws Failure serviceaccounts.no_host, serviceaccounts.retarget, kubernetes.host, kubernetes.ca, kubernetes.no_ca
   */
  async change(next: (before: Config) => Config): Promise<void> {
    const stored = await this.stored();
    const before = stored?.value ?? NO_CONFIG;
    const given = next(before);
    const host = given.host === '' ? '' : baseAddress(given.host, ['https:']);
    if (host === undefined) throw failure('kubernetes.host');
    if (host === '' && this.#hostOfPod() === undefined) throw failure('serviceaccounts.no_host');
    const config = { ...given, host };
    await this.#checkCa(config);
    // Who may write the configuration must not be able to have a token that they do not know sent to a server of theirs.
    const moved = before.host !== config.host || before.ca !== config.ca;
    if (moved && before.jwt !== '' && before.jwt === config.jwt) throw failure('serviceaccounts.retarget');
    await this.#entries.put(KEY, config, stored?.revision ?? 0);
  }

  delete(): Promise<void> {
    return this.#entries.delete(KEY);
  }

  /** The variables of a pod that are missing here. */
  missing(): readonly string[] {
    return [HOST, PORT].filter((name) => !this.#pod.env?.[name]);
  }

  #hostOfPod(): string | undefined {
    if (this.missing().length > 0) return undefined;
    const [host = '', port = ''] = [HOST, PORT].map((name) => this.#pod.env?.[name]);
    return baseAddress(`https://${host.includes(':') ? `[${host}]` : host}:${port}`, ['https:']);
  }

  async #checkCa(config: Config): Promise<void> {
    if (config.ca !== '') {
      if (!isCertificates(config.ca)) throw failure('kubernetes.ca');
      return;
    }
    const local = config.useLocal ? await this.#pod.readLocal?.() : undefined;
    if (local === undefined || !isCertificates(local.ca)) throw failure('kubernetes.no_ca');
  }
}
