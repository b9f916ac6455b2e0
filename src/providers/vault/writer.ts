/**
 * Pushing to KV version 1 and 2 of a server that speaks the Vault API, by upstream's rules. Version 2 keeps who pushed what
 * in the secret's custom metadata, version 1 inside the secret itself. Every write to version 2 insists on the version that
 * was read, whether the store asks for that or not: two that write properties of one secret must not lose either.
 */

import { isDeepStrictEqual } from 'node:util';
import { textOf } from '../../base/bytes.ts';
import { Failure, failure, isFailure } from '../../base/errors.ts';
import { Ordered, type OrderedJson, parseOrdered } from '../../base/json.ts';
import type { VaultClient } from '../../client/client.ts';
import { bagOf, isBag, problemOf } from '../../client/envelope.ts';
import type { ProviderEnv, PushTarget, Value, Writer } from '../../provider/provider.ts';
import { Turns } from '../../provider/turns.ts';
import { memberOf, ordered } from './answer.ts';
import {
  type Custom,
  type Ledger,
  ledgerOf,
  mayDelete,
  mayPush,
  pushedBy,
  withdrawn,
  withLedger,
} from './ledger.ts';
import { dataPath, metadataPath } from './path.ts';
import type { Session } from './session.ts';
import type { VaultSpec } from './spec.ts';

/** A secret as it stands. */
interface Existing {
  /** Undefined: there is none, or its newest version was deleted. */
  readonly data: Ordered | undefined;
  /** The newest version, 0 for none; nothing in version 1. */
  readonly version: number;
  readonly custom: Custom;
}

/** How often a write is tried against others who write the same secret. */
const TRIES = 5;
/** Where version 1, which has no metadata, keeps it: upstream's. */
const CUSTOM = 'custom_metadata';

export function createVaultWriter(spec: VaultSpec, env: ProviderEnv, session: Session): Writer {
  const { store } = env;
  const turns = new Turns();

  const request = async (
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    more: { readonly body?: unknown; readonly signal?: AbortSignal | undefined },
    needs: string,
  ) => {
    try {
      return await session.use((as: VaultClient) => as.request(method, path, more));
    } catch (error) {
      if (!isFailure(error, 'api.denied')) throw error;
      const mend = `Let the policy of this store's role grant: path "${path}" { capabilities = [${needs}] }`;
      throw new Failure(
        'provider.write_denied',
        { store, path, reason: 'permission denied', mend },
        { cause: error },
      );
    }
  };

  const read = async (key: string, signal: AbortSignal | undefined): Promise<Existing> => {
    const path = dataPath(spec, key);
    try {
      const answer = await request('GET', path, { signal }, '"read"');
      const data = memberOf(ordered(answer, path, env), 'data');
      return spec.version === 'v2' ? existingV2(data) : existingV1(data);
    } catch (error) {
      if (!isFailure(error, 'api.missing')) throw error;
      if (spec.version === 'v1') return { data: undefined, version: 0, custom: {} };
      const data = problemOf(error)?.envelope?.data;
      // A deleted version tells its metadata; of what never had one, only its metadata can.
      const known = isBag(data) ? bagOf(data['metadata']) : await metadataOf(key, signal);
      const version = known['version'] ?? known['current_version'];
      return {
        data: undefined,
        version: typeof version === 'number' ? version : 0,
        custom: textsOf(known[CUSTOM]),
      };
    }
  };

  const metadataOf = async (key: string, signal: AbortSignal | undefined) => {
    try {
      const answer = await request('GET', metadataPath(spec, key), { signal }, '"read"');
      return bagOf(answer.envelope?.data);
    } catch (error) {
      // Who may only write there has nothing to keep.
      if (isFailure(error, 'api.missing') || isFailure(error, 'provider.write_denied')) return {};
      throw error;
    }
  };

  /** Who owns it first: a value that nobody owns could not be taken back. */
  const keepCustom = async (key: string, custom: Custom, signal: AbortSignal | undefined): Promise<void> => {
    await request(
      'POST',
      metadataPath(spec, key),
      { body: { custom_metadata: custom }, signal },
      '"create", "update"',
    );
  };

  const keepData = async (
    key: string,
    data: Ordered,
    { version }: Existing,
    custom: Custom,
    signal: AbortSignal | undefined,
  ): Promise<void> => {
    const body =
      spec.version === 'v2'
        ? { data, options: { cas: version } }
        : new Ordered(new Map([...data.members, [CUSTOM, new Ordered(new Map(Object.entries(custom)))]]));
    await request('POST', dataPath(spec, key), { body, signal }, '"create", "update"');
  };

  /** Alone on a secret in this process, and again where somebody else wrote in between. */
  const inTurn = <T>(key: string, attempt: () => Promise<T>): Promise<T> =>
    turns.take(dataPath(spec, key), async () => {
      for (let tries = 1; ; tries++) {
        try {
          return await attempt();
        } catch (error) {
          if (!isFailure(error, 'api.conflict')) throw error;
          if (tries < TRIES) continue;
          throw failure('provider.write', { store, path: key, reason: 'others write it all the time' });
        }
      }
    });

  return {
    put: (target, value, options) =>
      inTurn(target.key, async () => {
        const { key, property = '' } = target;
        const { owner, onlyNew = false, signal } = options;
        const existing = await read(key, signal);
        if (onlyNew && has(existing, property)) return 'kept';
        const ledger = ledgerOf(existing.custom);
        if (existing.data !== undefined) {
          const reason = mayPush(ledger, property, options);
          const path = property === '' ? key : `${key}[${property}]`;
          if (reason !== undefined) throw failure('provider.foreign', { store, path, reason });
        }
        const data = wantedData(existing, target, value, store);
        // What was deleted has no owners any more.
        const before: Ledger = existing.data === undefined ? { isManaged: false, owners: new Map() } : ledger;
        const custom = withLedger(existing.custom, pushedBy(before, property, owner));
        const isSame = isDeepStrictEqual(existing.data, data);
        const isOwned = isDeepStrictEqual(existing.custom, custom);
        if (isSame && isOwned) return 'unchanged';
        if (!isOwned && spec.version === 'v2') await keepCustom(key, custom, signal);
        if (!isSame || spec.version === 'v1') await keepData(key, data, existing, custom, signal);
        return 'written';
      }),

    delete: ({ key, property = '' }, { owner, signal }) =>
      inTurn(key, async () => {
        const existing = await read(key, signal);
        const { data } = existing;
        if (data === undefined || !has(existing, property)) return 'absent';
        const ledger = ledgerOf(existing.custom);
        if (!mayDelete(ledger, property, owner)) return 'foreign';
        const left = new Map([...data.members].filter(([name]) => property !== '' && name !== property));
        if (left.size > 0) {
          const custom = withLedger(existing.custom, withdrawn(ledger, property));
          await keepData(key, new Ordered(left), existing, custom, signal);
          if (spec.version === 'v2') await keepCustom(key, custom, signal);
          return 'deleted';
        }
        await request('DELETE', dataPath(spec, key), { signal }, '"delete"');
        if (spec.version === 'v2') await request('DELETE', metadataPath(spec, key), { signal }, '"delete"');
        return 'deleted';
      }),
  };
}

const has = ({ data }: Existing, property: string): boolean =>
  data !== undefined && (property === '' || data.members.has(property));

/**
 * The secret as it shall be: a whole Secret as an object of texts, one property beside the others, or a value that is an
 * object itself.
 * @throws Failure provider.push
 */
function wantedData(
  { data }: Existing,
  { key, property = '' }: PushTarget,
  value: Value,
  store: string,
): Ordered {
  const refuse = (reason: string): Error => failure('provider.push', { store, path: key, reason });
  const text = 'bytes' in value ? textOf(value.bytes) : value.json;
  if (text === undefined) throw refuse('the value is not UTF-8, and Vault keeps JSON, which is text');
  if (property !== '') return new Ordered(new Map([...(data?.members ?? []), [property, text]]));
  try {
    const parsed = parseOrdered(text, { depth: 128, count: 2_000_000 });
    if (parsed instanceof Ordered) return parsed;
  } catch {
    // Told below: a parser's error quotes what it read.
  }
  const what = data === undefined ? 'vault secret' : 'incoming secret value';
  throw refuse(
    `error unmarshalling ${what}: invalid JSON format (without a property, the value itself must be a JSON object)`,
  );
}

function existingV2(data: OrderedJson | undefined): Existing {
  const metadata = memberOf(data, 'metadata');
  const version = memberOf(metadata, 'version');
  const inner = memberOf(data, 'data');
  return {
    data: inner instanceof Ordered ? inner : undefined,
    version: typeof version === 'number' ? version : 0,
    custom: textsOf(memberOf(metadata, CUSTOM)),
  };
}

function existingV1(data: OrderedJson | undefined): Existing {
  if (!(data instanceof Ordered)) return { data: undefined, version: 0, custom: {} };
  const rest = [...data.members].filter(([name]) => name !== CUSTOM);
  return { data: new Ordered(new Map(rest)), version: 0, custom: textsOf(data.members.get(CUSTOM)) };
}

/** An object's members that are texts. */
function textsOf(given: unknown): Custom {
  const entries = given instanceof Ordered ? [...given.members] : isBag(given) ? Object.entries(given) : [];
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
