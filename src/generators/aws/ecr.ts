/** ECRAuthorizationToken: what a docker login to the registries of an AWS account takes, for twelve hours. */

import { fromBase64, textOf, utf8 } from '../../base/bytes.ts';
import { failure } from '../../base/errors.ts';
import { ecrAuthorizationTokenSpec } from '../../operator/api/generators/schemas.ts';
import type { Fields, GeneratorType } from '../../provider/generator.ts';
import type { ProviderEnv } from '../../provider/provider.ts';
import { failed } from '../../providers/aws/client.ts';
import { type AwsGeneratorOptions, sessionOf } from './session.ts';

type Spec = ReturnType<typeof ecrAuthorizationTokenSpec.parse>;

/** Where AWS keeps all public registries, whatever region is named. */
const PUBLIC_REGION = 'us-east-1';
const PUBLIC_TARGET = 'SpencerFrontendService.GetAuthorizationToken';

interface Given {
  readonly authorizationToken?: string | undefined;
  readonly expiresAt?: Date | undefined;
  readonly proxyEndpoint?: string | undefined;
}

export const createEcrGenerator = (options: AwsGeneratorOptions): GeneratorType<Spec> => ({
  kind: 'ECRAuthorizationToken',
  spec: ecrAuthorizationTokenSpec,
  async generate(spec, env, _reserve, signal) {
    const isPublic = spec.scope === 'public';
    const given = isPublic
      ? await publicToken(spec, env, options, signal)
      : await privateToken(spec, env, options, signal);
    return fieldsOf(given, env.store, isPublic);
  },
});

async function privateToken(
  spec: Spec,
  env: ProviderEnv,
  options: AwsGeneratorOptions,
  signal: AbortSignal | undefined,
): Promise<Given | undefined> {
  const config = await sessionOf('ecr', spec, env, options);
  const { ECRClient, GetAuthorizationTokenCommand } = await import('./sdk.ts');
  const client = new ECRClient(config);
  try {
    const { authorizationData = [] } = await client.send(new GetAuthorizationTokenCommand({}), abort(signal));
    return authorizationData.length === 1 ? authorizationData[0] : undefined;
  } catch (error) {
    throw failed(error, attempt(env, 'ecr:GetAuthorizationToken'));
  } finally {
    client.destroy();
  }
}

/**
 * The service of public registries speaks as that of private ones does, under another name: the same client, told so.
 * (Amazon ECR Public API Reference, "GetAuthorizationToken")
 */
async function publicToken(
  spec: Spec,
  env: ProviderEnv,
  options: AwsGeneratorOptions,
  signal: AbortSignal | undefined,
): Promise<Given | undefined> {
  const config = await sessionOf('ecr-public', { ...spec, region: PUBLIC_REGION }, env, options);
  const { ECRClient, GetAuthorizationTokenCommand } = await import('./sdk.ts');
  const signing = { signingName: 'ecr-public', signingRegion: PUBLIC_REGION };
  const client = new ECRClient({
    ...config,
    requestHandler: listed(config.requestHandler as Handler) as unknown as typeof config.requestHandler,
    httpAuthSchemeProvider: () => [
      {
        schemeId: 'aws.auth#sigv4',
        signingProperties: signing,
        propertiesExtractor: (config: object, context: object) => ({
          signingProperties: { config, context, ...signing },
        }),
      },
    ],
  });
  client.middlewareStack.add(
    (next) => async (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers['x-amz-target'] = PUBLIC_TARGET;
      return next(args);
    },
    { step: 'build', name: 'publicRegistries' },
  );
  try {
    const { authorizationData = [] } = await client.send(new GetAuthorizationTokenCommand({}), abort(signal));
    return authorizationData[0];
  } catch (error) {
    throw failed(error, attempt(env, 'ecr-public:GetAuthorizationToken'));
  } finally {
    client.destroy();
  }
}

interface Handler {
  handle(...given: unknown[]): Promise<{ readonly response: { readonly body: Uint8Array } }>;
}

/** Of private registries there is a list, of the public ones there is one: the client reads lists. */
function listed(handler: Handler): Handler {
  return {
    ...handler,
    async handle(...given) {
      const { response } = await handler.handle(...given);
      try {
        const { authorizationData: one, ...rest } = JSON.parse(textOf(response.body) ?? '');
        if (one === undefined) return { response };
        const body = utf8(JSON.stringify({ ...rest, authorizationData: [one] }));
        return { response: { ...response, body } };
      } catch {
        return { response };
      }
    },
  };
}

const attempt = ({ store }: ProviderEnv, action: string) => ({ store, path: 'a registry token', action });
const abort = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal });

/** @throws Failure provider.read */
function fieldsOf(given: Given | undefined, store: string, isPublic: boolean): Fields {
  const refuse = (reason: string): Error =>
    failure('provider.read', { store, path: 'a registry token', reason });
  const decoded = textOf(fromBase64(given?.authorizationToken ?? '') ?? new Uint8Array()) ?? '';
  const parts = decoded.split(':');
  const [username = '', password = ''] = parts;
  if (given === undefined || parts.length !== 2 || password === '') throw refuse('unexpected token format');
  const expiresAt = Math.floor((given.expiresAt?.getTime() ?? 0) / 1000);
  return new Map([
    ['username', utf8(username)],
    ['password', utf8(password)],
    ...(isPublic ? [] : [['proxy_endpoint', utf8(given.proxyEndpoint ?? '')] as const]),
    ['expires_at', utf8(String(expiresAt))],
  ]);
}
