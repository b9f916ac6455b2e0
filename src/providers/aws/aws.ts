/** The AWS provider: Secrets Manager and Parameter Store through AWS's own clients, as upstream's stores describe them. */

import { failure } from '../../base/errors.ts';
import type { Provider, ProviderEnv, ProviderType } from '../../provider/provider.ts';
import { clientConfig, failed, type KeysSource } from './client.ts';
import type { Service } from './endpoints.ts';
import { keysOf, renewed } from './keys.ts';
import { type AwsSpec, awsSpec } from './spec.ts';

export interface AwsOptions {
  /** Other endpoints than AWS's, by the operator's own settings; see `endpointFrom`. */
  readonly endpoint?: (service: Service) => string | undefined;
  /**
   * Whether stores that name no keys may have the operator's own, found as AWS's clients find them on a machine. Whoever may
   * write a store then reads what the operator may: only for clusters that are one tenant.
   */
  readonly lendOwnKeys?: boolean;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** The provider `aws`. */
export const createAwsProvider = (options: AwsOptions = {}): ProviderType<AwsSpec> => ({
  name: 'aws',
  spec: awsSpec as ProviderType<AwsSpec>['spec'],
  connect: (spec, env) => connect(spec, env, options),
});

async function connect(spec: AwsSpec, env: ProviderEnv, options: AwsOptions): Promise<Provider> {
  if (spec.service === 'CertificateManager')
    throw failure('provider.unsupported', {
      store: env.store,
      reason: 'the service CertificateManager is not supported',
      mend: 'Use SecretsManager or ParameterStore.',
    });
  const { endpoint = () => undefined, now = Date.now } = options;
  const own = options.lendOwnKeys === true ? ownKeys(now) : undefined;
  const keys = await keysOf(spec, env, { endpoint, own, now });
  const given = { region: spec.region, keys, endpoint };
  const client =
    spec.service === 'SecretsManager' ? await secrets(spec, given, env) : await parameters(spec, given, env);
  return {
    ...client,
    /** Whether the keys are to be had, as upstream asks; which of them may do what is AWS's to say at each read. */
    async validate() {
      try {
        await keys();
      } catch (error) {
        throw failed(error, { store: env.store, path: 'the keys of AWS', action: 'sts:AssumeRole' });
      }
      return 'ready';
    },
  };
}

type Given = Parameters<typeof clientConfig>[1];

async function secrets(spec: AwsSpec, given: Given, env: ProviderEnv): Promise<Omit<Provider, 'validate'>> {
  const [{ SecretsManagerClient }, { createSecrets }, { createSecretsWriter }] = await Promise.all([
    import('./sdk.ts'),
    import('./secrets-manager.ts'),
    import('./secrets-manager-writer.ts'),
  ]);
  const client = new SecretsManagerClient(clientConfig('secretsmanager', given, env));
  const context = { client, env, prefix: spec.prefix };
  return {
    ...createSecrets(context),
    ...createSecretsWriter(context, spec.secretsManager),
    close: async () => client.destroy(),
  };
}

async function parameters(
  spec: AwsSpec,
  given: Given,
  env: ProviderEnv,
): Promise<Omit<Provider, 'validate'>> {
  const [{ SSMClient }, { createParameters }, { createParametersWriter }] = await Promise.all([
    import('./sdk.ts'),
    import('./parameter-store.ts'),
    import('./parameter-store-writer.ts'),
  ]);
  const client = new SSMClient(clientConfig('ssm', given, env));
  const context = { client, env, prefix: spec.prefix };
  return {
    ...createParameters(context),
    ...createParametersWriter(context),
    close: async () => client.destroy(),
  };
}

/** AWS's own search for keys (variables, a web identity, a pod's, the machine's), by a client that is given none. */
export const ownKeys =
  (now: () => number) =>
  (region: string): KeysSource =>
    renewed(now, async () => {
      const { STSClient } = await import('./sdk.ts');
      const client = new STSClient({ region });
      try {
        return await client.config.credentials();
      } finally {
        client.destroy();
      }
    });
