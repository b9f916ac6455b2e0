/** Reads of what is issued: one request under a login of its own, and what its answer says of its life. */

import { Failure, failure, isFailure } from '../../base/errors.ts';
import type { Json } from '../../base/json.ts';
import { Exact } from '../../base/json.ts';
import type { Answer, VaultClient } from '../../client/client.ts';
import { capabilities } from '../../client/sys.ts';
import type { Issued, Parameters } from '../../provider/issuer.ts';
import { memberOf, ordered, secretOf } from './answer.ts';

/**
 * Issues what a path names. With parameters it is written, as `pki/issue` wants it; a path that only takes reads gets them
 * in the query. Without, it is read.
 * @throws Failure provider.parameters where it has to be written and nothing is given, provider.denied, provider.read, api.*
 */
export async function issueAt(
  client: VaultClient,
  path: string,
  parameters: Parameters,
  env: { readonly store: string },
  signal?: AbortSignal,
): Promise<Issued> {
  const answer = await asked(client, path, parameters, env, signal);
  const data = memberOf(ordered(answer, path, env), 'data');
  const value = secretOf(data, path, env);
  const { leaseId = '', leaseSeconds = 0, renewable = false } = answer.envelope ?? {};
  if (value === undefined)
    throw failure('provider.read', { store: env.store, path, reason: 'the answer has no data' });
  const expiration = memberOf(data, 'certificate') === undefined ? undefined : memberOf(data, 'expiration');
  const seconds = Number(expiration instanceof Exact ? expiration.text : (expiration ?? Number.NaN));
  return {
    value,
    envelope: { leaseId, leaseSeconds, renewable },
    ...(Number.isFinite(seconds) && seconds > 0 ? { notAfter: seconds * 1000 } : {}),
  };
}

async function asked(
  client: VaultClient,
  path: string,
  parameters: Parameters,
  env: { readonly store: string },
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const one = (values: readonly string[]): Json => (values.length === 1 ? (values[0] ?? '') : [...values]);
  const capability = parameters.size === 0 ? 'read' : 'update';
  try {
    if (parameters.size === 0) return await client.request('GET', path, { signal });
    const body = Object.fromEntries([...parameters].map(([name, values]) => [name, one(values)]));
    return await client.request('PUT', path, { body, signal });
  } catch (error) {
    if (isFailure(error, 'api.denied')) {
      if (parameters.size === 0 && (await mayWrite(client, path)))
        throw failure('provider.parameters', { store: env.store, path });
      const mend = `Let the policy of this store's role grant: path "${path}" { capabilities = ["${capability}"] }`;
      throw new Failure(
        'provider.denied',
        { store: env.store, path, reason: 'permission denied', mend },
        { cause: error },
      );
    }
    if (!isFailure(error, 'api.unsupported')) throw error;
    if (parameters.size === 0) throw failure('provider.parameters', { store: env.store, path });
    const query = Object.fromEntries([...parameters].map(([name, values]) => [name, values.join(',')]));
    return client.request('GET', path, { query, signal });
  }
}

/** Whether a policy grants that a path is written: one that has to be is often granted to be written alone. */
async function mayWrite(client: VaultClient, path: string): Promise<boolean> {
  try {
    const may = (await capabilities(client, [path])).get(path) ?? [];
    return may.includes('update') || may.includes('create');
  } catch {
    // Then the refusal itself is the answer.
    return false;
  }
}
