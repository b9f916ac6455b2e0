/** The source: where it is, what it is shown to be let in, and requests to it. Headers and secrets never come back. */

import { baseAddress } from '../../base/address.ts';
import { textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { stringify } from '../../base/json.ts';
import { own } from '../../base/own.ts';
import { isCertificates } from '../../crypto/pem.ts';
import type { Mount } from '../../plugin/plugin.ts';
import { isWellFormed } from './answer.ts';
import {
  checkHeaderName,
  type Facts,
  isHeaderText,
  isSecret,
  outgoing,
  type Step,
  TEXT_LIMIT,
} from './step.ts';
import { placesOf, readTemplate } from './template.ts';

export interface Config {
  /** URL without a trailing slash. */
  readonly address: string;
  /** PEM; empty: the system's trust. */
  readonly ca: string;
  readonly timeoutMs: number;
  /** Sent with each request; templates that may name secrets. */
  readonly headers: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
}

export const NO_CONFIG: Config = { address: '', ca: '', timeoutMs: 10_000, headers: {}, secrets: {} };
export const LONGEST_MS = 60_000;

const KEY = 'config';
const MOST = 64;
const SECRET_NAME = /^[A-Za-z]\w{0,63}$/;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export class Source {
  readonly #mount: Mount;

  constructor(mount: Mount) {
    this.#mount = mount;
  }

  async stored(): Promise<{ readonly config: Config; readonly revision: number } | undefined> {
    const entry = await this.#mount.storage.get(KEY);
    const text = entry && textOf(entry.value);
    return entry === undefined || text === undefined
      ? undefined
      : { config: JSON.parse(text) as Config, revision: entry.revision };
  }

  /**
   * @param next makes the new configuration of the old one
   * @throws Failure custom.config, custom.egress, custom.retarget
   */
  async change(next: (before: Config) => Config): Promise<void> {
    const stored = await this.stored();
    const before = stored?.config ?? NO_CONFIG;
    const given = next(before);
    const config = { ...given, address: checkedAddress(given.address) };
    check(config);
    checkMove(before, config);
    if ((await this.#mount.mayReach?.(config.address)) === false) {
      const { hostname, port, protocol } = new URL(config.address);
      throw failure('custom.egress', {
        host: hostname,
        port: port || (protocol === 'https:' ? '443' : '80'),
      });
    }
    await this.#mount.storage.commit(
      [{ key: KEY, value: utf8(stringify(config)) }],
      [{ key: KEY, revision: stored?.revision ?? 0 }],
    );
  }

  async delete(): Promise<void> {
    await this.#mount.storage.commit([{ key: KEY, delete: true }]);
  }

  /**
   * Makes sure that these requests could be sent, before anything is promised that hangs on them.
   * @throws Failure custom.not_configured, custom.render, custom.no_secret
   */
  async rehearse(steps: readonly Step[], facts: Facts): Promise<void> {
    const config = await this.#config();
    for (const step of steps) outgoing(step, config, (place) => standsFor(place, facts, config), 'key');
  }

  /**
   * Sends a request of a role.
   * @throws Failure custom.not_configured, custom.render, custom.no_secret, dial.*
   */
  async send(
    step: Step,
    facts: Facts,
    key: string,
  ): Promise<{ readonly status: number; readonly body: Uint8Array }> {
    const config = await this.#config();
    const { url, headers, body } = outgoing(step, config, (place) => standsFor(place, facts, config), key);
    return this.#mount.dial({
      url,
      method: step.method,
      headers,
      ...(body === undefined ? {} : { body }),
      ...(config.ca === '' ? {} : { ca: config.ca }),
      timeoutMs: config.timeoutMs,
    });
  }

  async #config(): Promise<Config> {
    const stored = await this.stored();
    if (stored === undefined) throw failure('custom.not_configured');
    return stored.config;
  }
}

function standsFor(place: string, facts: Facts, { secrets }: Config): string {
  const [from, name] = isSecret(place) ? [secrets, place.slice('secret.'.length)] : [facts, place];
  const value = own(from, name);
  if (value === undefined) throw failure('custom.no_secret', { name });
  return value;
}

function checkedAddress(text: string): string {
  const address = baseAddress(text, ['https:', 'http:']);
  if (address === undefined)
    throw bad('address must be a URL such as https://accounts.example.com, without user, query or fragment');
  const { protocol, hostname } = new URL(address);
  if (protocol === 'http:' && !LOOPBACK.test(hostname))
    throw bad('address must be https: only a source on this machine may be asked over http');
  return address;
}

function check({ ca, timeoutMs, headers, secrets }: Config): void {
  if (ca !== '' && !isCertificates(ca)) throw bad('ca_cert holds no certificates in PEM');
  if (!(timeoutMs >= 1000 && timeoutMs <= LONGEST_MS)) throw bad('timeout must be from 1s to 60s');
  if (Object.keys(headers).length > MOST || Object.keys(secrets).length > MOST)
    throw bad(`there may be at most ${MOST} headers and ${MOST} secrets`);
  for (const [name, value] of Object.entries(secrets)) {
    if (!SECRET_NAME.test(name)) throw bad('a secret is named with letters, digits and "_"');
    if (value.length > TEXT_LIMIT || !isWellFormed(value))
      throw bad(`the secret ${name} is too long, or no text`);
  }
  for (const [name, text] of Object.entries(headers)) {
    checkHeaderName(name, bad);
    const template = isHeaderText(text) ? readTemplate(text) : undefined;
    if (template === undefined || !placesOf(template).every(isSecret))
      throw bad(`the header ${name} may hold printable ASCII and the places {{secret.NAME}}, nothing else`);
    const missing = placesOf(template).find(
      (place) => !Object.hasOwn(secrets, place.slice('secret.'.length)),
    );
    if (missing !== undefined)
      throw bad(`the header ${name} names {{${missing}}}, which is not among the secrets`);
  }
}

/** Who may write the configuration must not be able to have secrets that they do not know sent to a server of theirs. */
function checkMove(before: Config, after: Config): void {
  if (before.address === '' || (before.address === after.address && before.ca === after.ca)) return;
  const kept = (['headers', 'secrets'] as const).some((kind) =>
    Object.entries(after[kind]).some(([name, value]) => before[kind][name] === value),
  );
  if (kept) throw failure('custom.retarget');
}

const bad = (reason: string) => failure('custom.config', { reason });
