/**
 * Who somebody is to AWS, told to a third: a request sts:GetCallerIdentity that is signed here and sent by whoever is told,
 * because only the holder of the keys can have made it, and the answer names the holder. Nothing else can be done with it.
 */

import { type Carried, carrier, GIVEN } from '../../aws/client.ts';
import { utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { type AwsOptions, ownKeys } from './aws.ts';
import { failed, type Keys } from './client.ts';
import { endpointOf } from './endpoints.ts';
import { type AwsIdentity, identitySpec, keysOf } from './keys.ts';

/** A request that was signed and not sent. */
export type SignedRequest = Required<Pick<Carried, 'url' | 'method' | 'headers'>> & { readonly body: string };

export interface AwsCaller extends AwsIdentity {
  /** What is signed beside AWS's own headers; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** What the session of a service account's token is called in AWS's trails. */
  readonly webSession: string;
  /** Where the manifest names its keys, for messages. */
  readonly field: string;
}

/**
 * Signs as whom a manifest names.
 * @throws from what it gives: Failure provider.*, operator.ref_*, dial.* where there are no keys to be had
 */
export const createAwsCallers =
  ({ endpoint = () => undefined, lendOwnKeys = false, now = Date.now }: AwsOptions = {}) =>
  async (
    { headers, webSession, field, ...identity }: AwsCaller,
    env: ProviderEnv,
  ): Promise<SignedRequest> => {
    const own = lendOwnKeys ? ownKeys(now) : undefined;
    const spec = identitySpec(identity, env);
    const keys = await keysOf(spec, env, { endpoint, own, now, webSession, field });
    try {
      return await signed(spec.region, await keys(), headers);
    } catch (error) {
      throw failed(error, { store: env.store, path: 'the keys of AWS', action: 'sts:AssumeRole' });
    }
  };

/** Where STS is by the name that servers expect: in its first region they ask the one that is everywhere. */
const addressOf = (region: string): string =>
  region === 'us-east-1' ? 'https://sts.amazonaws.com' : endpointOf('sts', region);

const NOBODY = utf8('<GetCallerIdentityResponse/>');

async function signed(region: string, credentials: Keys, more: AwsCaller['headers']): Promise<SignedRequest> {
  const { GetCallerIdentityCommand, STSClient } = await import('./sdk.ts');
  let made: Carried | undefined;
  const client = new STSClient({
    ...GIVEN,
    endpoint: addressOf(region),
    region,
    credentials,
    maxAttempts: 1,
    requestHandler: carrier(async (request) => {
      made = request;
      return { status: 200, body: NOBODY };
    }),
  });
  const sparing =
    <Args extends { request: unknown }, Out>(next: (args: Args) => Promise<Out>) =>
    (args: Args): Promise<Out> => {
      const request = args.request as { headers: Record<string, string> };
      const { host = '', 'content-type': type = '' } = request.headers;
      // What the client tells of itself would be signed too, and servers refuse headers of AWS that they do not know.
      request.headers = { host, 'content-type': type, ...more };
      return next(args);
    };
  client.middlewareStack.addRelativeTo(sparing, {
    relation: 'before',
    toMiddleware: 'httpSigningMiddleware',
    name: 'callersHeaders',
  });
  try {
    await client.send(new GetCallerIdentityCommand({}));
  } finally {
    client.destroy();
  }
  if (made?.body === undefined) throw failure('base.internal');
  const { url, method, headers, body } = made;
  return { url, method, headers, body };
}
