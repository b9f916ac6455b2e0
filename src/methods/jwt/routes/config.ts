/** `config`: whose tokens are believed, and who this server is to the identity provider. */

import { z } from 'zod';
import { isFailure } from '../../../base/errors.ts';
import { commaList, flag } from '../../../base/schema.ts';
import { type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { type Config, checkConfig, invalid, readConfig, writeConfig } from '../config.ts';
import type { Trust } from '../trusted.ts';

const url = () => z.string().trim().max(2048).nullish();
const pem = () => z.string().trim().nullish();

const input = z.object({
  oidc_discovery_url: url(),
  oidc_discovery_ca_pem: pem(),
  oidc_client_id: z.string().max(1024).nullish(),
  oidc_client_secret: z.string().max(4096).nullish(),
  oidc_response_mode: z.string().nullish(),
  oidc_response_types: commaList().nullish(),
  jwks_url: url(),
  jwks_ca_pem: pem(),
  jwks_pairs: z
    .array(z.object({ jwks_url: z.string().trim().min(1).max(2048), jwks_ca_pem: pem() }))
    .max(20)
    .nullish(),
  jwt_validation_pubkeys: commaList().nullish(),
  jwt_supported_algs: commaList().nullish(),
  bound_issuer: z.string().max(2048).nullish(),
  default_role: z.string().max(512).nullish(),
  provider_config: z.looseObject({ provider: z.string().optional() }).nullish(),
  override_allowed_server_names: commaList().nullish(),
  namespace_in_state: flag().nullish(),
  skip_jwks_validation: flag().nullish(),
});

const output = z.object({
  bound_issuer: z.string(),
  default_role: z.string(),
  jwks_ca_pem: z.string(),
  jwks_pairs: z.array(z.object({ jwks_url: z.string(), jwks_ca_pem: z.string() })),
  jwks_url: z.string(),
  jwt_supported_algs: z.array(z.string()),
  jwt_validation_pubkeys: z.array(z.string()),
  namespace_in_state: z.boolean(),
  oidc_client_id: z.string(),
  oidc_discovery_ca_pem: z.string(),
  oidc_discovery_url: z.string(),
  oidc_response_mode: z.string(),
  oidc_response_types: z.array(z.string()),
  override_allowed_server_names: z.array(z.string()),
  provider_config: z.object({}),
  status: z.enum(['valid', 'invalid']),
});

export const configRoute = ({ storage }: Mount, trust: Trust): Route => ({
  path: 'config',
  operations: {
    read: operation({
      summary: 'Read whose tokens are believed, and whether their keys can be had; never the client secret.',
      input: z.object({}),
      output,
      effect: 'none',
      async run() {
        const stored = await readConfig(storage);
        if (stored === undefined) return {};
        const trouble = await trust
          .of(stored)
          .ready()
          .then(
            () => undefined,
            (error: unknown) => {
              if (isFailure(error)) return error.message;
              throw error;
            },
          );
        return {
          data: { ...shown(stored.config), status: trouble === undefined ? 'valid' : 'invalid' },
          ...(trouble === undefined ? {} : { warnings: [`failed to construct JWK validator: ${trouble}`] }),
        };
      },
    }),

    write: operation({
      summary: 'Set whose tokens are believed. Replaces all of it; the keys are looked at before it is kept.',
      input,
      output: z.object({}),
      effect: 'write',
      async run(given) {
        checkProvider(given.provider_config);
        if (given.override_allowed_server_names?.length) {
          throw invalid(
            'override_allowed_server_names is not supported: the certificate must carry the name of the URL',
          );
        }
        const before = await readConfig(storage);
        const config = configOf(given, before?.config.namespaceInState ?? true);
        checkConfig(config);
        const warnings: string[] = [];
        try {
          await trust.probe(config);
        } catch (error) {
          if (!given.skip_jwks_validation || !isFailure(error, 'jwt.invalid')) throw error;
          warnings.push(error.message);
        }
        await writeConfig(storage, config);
        return { warnings };
      },
    }),
  },
});

function configOf(given: z.output<typeof input>, namespaceInState: boolean): Config {
  const mode = given.oidc_response_mode ?? '';
  if (mode !== '' && mode !== 'query' && mode !== 'form_post')
    throw invalid(`invalid response_mode: ${JSON.stringify(mode.slice(0, 64))}`);
  return {
    discoveryUrl: given.oidc_discovery_url ?? '',
    discoveryCa: given.oidc_discovery_ca_pem ?? '',
    clientId: given.oidc_client_id ?? '',
    clientSecret: given.oidc_client_secret ?? '',
    responseMode: mode,
    responseTypes: given.oidc_response_types ?? [],
    jwksUrl: given.jwks_url ?? '',
    jwksCa: given.jwks_ca_pem ?? '',
    jwksPairs: (given.jwks_pairs ?? []).map((pair) => ({ url: pair.jwks_url, ca: pair.jwks_ca_pem ?? '' })),
    publicKeys: (given.jwt_validation_pubkeys ?? []).map((key) => key.trim()),
    algorithms: given.jwt_supported_algs ?? [],
    boundIssuer: given.bound_issuer ?? '',
    defaultRole: (given.default_role ?? '').toLowerCase(),
    namespaceInState: given.namespace_in_state ?? namespaceInState,
  };
}

/** Providers are spoken to by the standard alone. */
function checkProvider(given: Readonly<Record<string, unknown>> | null | undefined): void {
  if (given == null || Object.keys(given).length === 0) return;
  const name = given['provider'];
  throw invalid(
    typeof name === 'string'
      ? `invalid provider_config: provider ${JSON.stringify(name.slice(0, 64))} not found in custom providers`
      : "invalid provider_config: 'provider' field not found in provider_config",
  );
}

const shown = (config: Config) => ({
  bound_issuer: config.boundIssuer,
  default_role: config.defaultRole,
  jwks_ca_pem: config.jwksCa,
  jwks_pairs: config.jwksPairs.map(({ url, ca }) => ({ jwks_url: url, jwks_ca_pem: ca })),
  jwks_url: config.jwksUrl,
  jwt_supported_algs: [...config.algorithms],
  jwt_validation_pubkeys: [...config.publicKeys],
  namespace_in_state: config.namespaceInState,
  oidc_client_id: config.clientId,
  oidc_discovery_ca_pem: config.discoveryCa,
  oidc_discovery_url: config.discoveryUrl,
  oidc_response_mode: config.responseMode,
  oidc_response_types: [...config.responseTypes],
  override_allowed_server_names: [],
  provider_config: {},
});
