/** Whose signature a mount believes, by its configuration: keys that stand in it, a provider's, or published sets. */

import type { Clock } from '../../base/clock.ts';
import { failure, isFailure } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Dial, Mount } from '../../plugin/plugin.ts';
import { type Jws, parseJws, publicKeyOf, SIGNATURE_ALGORITHMS, verifyJws } from '../jws.ts';
import { refused } from './claims.ts';
import { type Config, keyPlaces, type Stored } from './config.ts';
import { fitting, type SigningKey } from './keys.ts';
import { askKeys, Provider } from './provider.ts';
import { Remote } from './remote.ts';

/** Keys, and the same anew where somebody else publishes them. */
interface Source {
  get(): Promise<readonly SigningKey[]>;
  again?(): Promise<readonly SigningKey[]>;
}

/** What one configuration trusts; made anew with each, so that no key outlives the configuration it was learned under. */
export class Trusted {
  readonly config: Config;
  readonly revision: number;
  /** Undefined where the configuration names none. */
  readonly provider: Provider | undefined;
  readonly #sources: readonly Source[];
  readonly #log: Log;

  constructor(
    { config, revision }: Stored,
    given: { readonly dial: Dial; readonly clock: Clock; readonly log: Log },
  ) {
    const { dial, clock, log } = given;
    this.config = config;
    this.revision = revision;
    this.#log = log;
    const issuer = { url: config.discoveryUrl, ca: config.discoveryCa };
    this.provider = config.discoveryUrl === '' ? undefined : new Provider(dial, clock, issuer);
    const places = keyPlaces(config).map((place) => new Remote(() => askKeys(dial, place), clock));
    this.#sources =
      this.provider !== undefined
        ? [this.provider.keys]
        : places.length > 0
          ? places
          : [{ get: async () => pinned(config.publicKeys) }];
  }

  /** @throws Failure jwt.provider where no key can be had */
  async ready(): Promise<void> {
    for (const source of this.#sources) await source.get();
  }

  /**
   * The token, if a key of this configuration signed it, with one of the algorithms.
   * @param defaults the algorithms where the configuration names none
   * @throws Failure jwt.refused
   */
  async verify(token: string, defaults: readonly string[] = SIGNATURE_ALGORITHMS): Promise<Jws> {
    const jws = parseJws(token);
    if ('reason' in jws) throw refused(`error verifying token signature: ${jws.reason}`);
    const { algorithms } = this.config;
    if (!(algorithms.length > 0 ? algorithms : defaults).includes(jws.algorithm))
      throw refused('invalid algorithm (alg) header parameter: token signed with unexpected algorithm');
    let unread = false;
    for (const source of this.#sources) {
      try {
        if (await isSigned(jws, source)) return jws;
      } catch (error) {
        if (!isFailure(error)) throw error;
        unread = true;
        // Strangers are not told where this server reads its keys, and what stands between.
        this.#log.warn('the keys of tokens cannot be read', { reason: error.message });
      }
    }
    throw refused(
      unread
        ? 'error verifying token signature: the keys of the identity provider cannot be read now'
        : 'error verifying token signature: no known key successfully validated the token signature',
    );
  }
}

/** A key may be newer than the set at hand, whatever name it bears: the set is asked for once more, within its pauses. */
async function isSigned(jws: Jws, source: Source): Promise<boolean> {
  const known = await source.get();
  if (verifyJws(jws, fitting(known, jws))) return true;
  const now = await source.again?.();
  return now !== undefined && now !== known && verifyJws(jws, fitting(now, jws));
}

const pinned = (pems: readonly string[]): readonly SigningKey[] =>
  pems.flatMap((pem) => {
    const key = publicKeyOf(pem);
    return key === undefined ? [] : [{ id: undefined, algorithm: undefined, key }];
  });

/** What the configuration of now trusts, kept until it is written anew. */
export class Trust {
  readonly #mount: Mount;
  #current: Trusted | undefined;

  constructor(mount: Mount) {
    this.#mount = mount;
  }

  of(stored: Stored): Trusted {
    if (this.#current?.revision !== stored.revision) this.#current = new Trusted(stored, this.#mount);
    return this.#current;
  }

  /** Whether a configuration that is not stored yet leads to keys. @throws Failure jwt.invalid */
  async probe(config: Config): Promise<void> {
    try {
      await new Trusted({ config, revision: 0 }, this.#mount).ready();
    } catch (error) {
      if (!isFailure(error, 'jwt.provider')) throw error;
      const what = config.discoveryUrl === '' ? 'jwks URL' : 'oidc discovery URL';
      throw failure('jwt.invalid', { reason: `error checking ${what}: ${error.message}` });
    }
  }
}
