/** As whom, and where, AWS is asked: written by an administrator. The environment of the server has no say, nor has its machine. */

import { baseAddress } from '../../base/address.ts';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import type { Mount } from '../../plugin/plugin.ts';
import { iamEndpoint, isRegion, stsEndpoint } from './endpoints.ts';
import { nameMaker } from './username.ts';

export interface Config {
  readonly accessKey: string;
  /** Never told to anybody. */
  readonly secretKey: string;
  /** Empty: us-east-1. */
  readonly region: string;
  /** URLs without a trailing slash; empty: those of AWS. */
  readonly iamEndpoint: string;
  readonly stsEndpoint: string;
  /** Empty: `region`. */
  readonly stsRegion: string;
  /** -1: as often as AWS's own clients. */
  readonly maxRetries: number;
  readonly usernameTemplate: string;
  /** The key that a rotation took the place of, as long as it may be there still. */
  readonly retired?: string;
}

export interface Stored {
  readonly config: Config;
  readonly revision: number;
}

const KEY = 'config/root';
const ACCESS_KEY = /^\w{4,128}$/;
/** It never becomes a header, but is the key of each signature: one with a stray line end would sign nothing that holds. */
const SECRET_KEY = /^[\x21-\x7e]{1,256}$/;
const RETRIES_LIMIT = 10;

export class Settings {
  readonly #mount: Mount;

  constructor(mount: Mount) {
    this.#mount = mount;
  }

  async stored(): Promise<Stored | undefined> {
    const entry = await this.#mount.storage.get(KEY);
    const text = entry && textOf(entry.value);
    return text === undefined || entry === undefined
      ? undefined
      : { config: JSON.parse(text) as Config, revision: entry.revision };
  }

  /** @throws Failure aws.not_configured */
  async needed(): Promise<Stored> {
    const stored = await this.stored();
    if (stored === undefined) throw failure('aws.not_configured');
    return stored;
  }

  /** Takes the place of what there was, as upstream has it. @throws Failure aws.config, aws.egress, aws.template */
  async replace(given: Config): Promise<void> {
    const config = {
      ...given,
      iamEndpoint: checkedEndpoint('iam_endpoint', given.iamEndpoint),
      stsEndpoint: checkedEndpoint('sts_endpoint', given.stsEndpoint),
    };
    check(config);
    for (const { url } of [iamEndpoint(config), stsEndpoint(config)]) await this.#checkReach(url);
    const before = await this.stored();
    await this.put(config, before?.revision ?? 0);
  }

  /** @param revision of what is replaced. @throws Failure storage.conflict where somebody else was first */
  put(config: Config, revision: number): Promise<number> {
    return this.#mount.storage.commit(
      [{ key: KEY, value: utf8(stringify(config)) }],
      [{ key: KEY, revision }],
    );
  }

  async #checkReach(url: string): Promise<void> {
    if ((await this.#mount.mayReach?.(url)) !== false) return;
    const { hostname, port, protocol } = new URL(url);
    throw failure('aws.egress', { host: hostname, port: port || (protocol === 'https:' ? '443' : '80') });
  }
}

/** @throws Failure aws.config, aws.template */
function check(config: Config): void {
  if (config.accessKey === '' || config.secretKey === '')
    throw refused(
      'access_key and secret_key must both be given; none are taken from the environment or the machine of the server',
    );
  if (!ACCESS_KEY.test(config.accessKey)) throw refused('access_key is no id of an access key');
  if (!SECRET_KEY.test(config.secretKey)) throw refused('secret_key holds what no secret key holds');
  for (const [name, region] of [
    ['region', config.region],
    ['sts_region', config.stsRegion],
  ] as const)
    if (region !== '' && !isRegion(region)) throw refused(`${name} is no name of a region`);
  if (config.maxRetries < -1 || config.maxRetries > RETRIES_LIMIT)
    throw refused(`max_retries must be from -1 to ${RETRIES_LIMIT}`);
  nameMaker(config.usernameTemplate);
}

/** @throws Failure aws.config */
function checkedEndpoint(name: string, given: string): string {
  if (given === '') return '';
  const address = baseAddress(given, ['https:', 'http:']);
  // What goes over the wire without TLS are new secret keys.
  if (address === undefined || (address.startsWith('http:') && !isLoopback(new URL(address).hostname)))
    throw refused(`${name} must be an https URL without user, query or fragment; http is for loopback alone`);
  return address;
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);

const refused = (reason: string) => failure('aws.config', { reason });
