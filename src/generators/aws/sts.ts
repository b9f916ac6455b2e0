/** STSSessionToken: temporary keys of a user of AWS. */

import { utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { stsSessionTokenSpec } from '../../operator/api/generators/schemas.ts';
import type { GeneratorType } from '../../provider/generator.ts';
import { failed } from '../../providers/aws/client.ts';
import { type AwsGeneratorOptions, sessionOf } from './session.ts';

type Spec = ReturnType<typeof stsSessionTokenSpec.parse>;

export const createStsGenerator = (options: AwsGeneratorOptions): GeneratorType<Spec> => ({
  kind: 'STSSessionToken',
  spec: stsSessionTokenSpec,
  async generate(spec, env, _reserve, signal) {
    const { store } = env;
    // STS gives no session to keys that are temporary already.
    if (spec.auth.jwt !== undefined)
      throw failure('provider.spec', {
        store,
        reason: 'jwt auth cannot be used for STS Session Token generation',
      });
    const { sessionDuration, serialNumber, tokenCode } = spec.requestParameters;
    const config = await sessionOf('sts', spec, env, options);
    const { GetSessionTokenCommand, STSClient } = await import('./sdk.ts');
    const client = new STSClient(config);
    try {
      const { Credentials: keys } = await client.send(
        new GetSessionTokenCommand({
          ...(sessionDuration === undefined ? {} : { DurationSeconds: sessionDuration }),
          ...(serialNumber === undefined ? {} : { SerialNumber: serialNumber }),
          ...(tokenCode === undefined ? {} : { TokenCode: tokenCode }),
        }),
        signal === undefined ? {} : { abortSignal: signal },
      );
      const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '', Expiration } = keys ?? {};
      if (AccessKeyId === '' || SecretAccessKey === '' || SessionToken === '')
        throw failure('provider.read', { store, path: 'a session token', reason: 'no credentials found' });
      return new Map([
        ['access_key_id', utf8(AccessKeyId)],
        ['secret_access_key', utf8(SecretAccessKey)],
        ['session_token', utf8(SessionToken)],
        ['expiration', utf8(String(Math.floor((Expiration?.getTime() ?? 0) / 1000)))],
      ]);
    } catch (error) {
      throw failed(error, { store, path: 'a session token', action: 'sts:GetSessionToken' });
    } finally {
      client.destroy();
    }
  },
});
