/** oidc/: the keys and roles of identity tokens, the tokens themselves, and what verifiers read without a token of ours. */

import { z } from 'zod';
import { fromBase64, textOf, utf8 } from '../../../base/bytes.ts';
import { seconds } from '../../../base/duration.ts';
import { stringify } from '../../../base/json.ts';
import { commaList, duration } from '../../../base/schema.ts';
import { operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import { algorithms } from '../oidc/signing.ts';
import { issueIdentity, issuerOf, type OidcWorld, whyInactive } from '../oidc/tokens.ts';
import { given, nothing, text } from './fields.ts';

const named = z.object({ name: z.string().min(1) });
const list = z.object({ keys: z.array(z.string()) });
/** Discovery changes with the configuration alone. */
const DISCOVERY_CACHE = 'max-age=3600';
const ISSUER_WARNING =
  'If "issuer" is set explicitly, all tokens must be validated against that address, including those issued by secondary clusters. Setting issuer to "" will restore the default behavior of using the cluster\'s api_addr as the issuer.';

export function oidcRoutes(world: OidcWorld): Route[] {
  return [...configRoutes(world), ...keyRoutes(world), ...roleRoutes(world), ...tokenRoutes(world)];
}

/** Bare JSON: what reads it knows no envelope. */
const bare = (value: unknown, cache = 'no-store'): Reply<never> => ({
  raw: {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': cache },
    body: utf8(stringify(value)),
  },
});

function configRoutes(world: OidcWorld): Route[] {
  const { oidc } = world;
  return [
    {
      path: 'oidc/config',
      operations: {
        read: operation({
          summary: 'Read what identity tokens name as their issuer.',
          input: nothing,
          output: z.object({ issuer: z.string() }),
          effect: 'none',
          run: async () => ({ data: { issuer: await oidc.issuer() } }),
        }),
        write: operation({
          summary: 'Set the issuer; an empty one is the address of the server.',
          input: z.object({ issuer: text }),
          output: nothing,
          effect: 'write',
          async run({ issuer }) {
            await oidc.setIssuer(issuer ?? '');
            return issuer ? { warnings: [ISSUER_WARNING] } : {};
          },
        }),
      },
    },
    {
      path: 'oidc/.well-known/openid-configuration',
      access: 'public',
      operations: {
        read: operation({
          summary: 'OpenID Connect discovery.',
          input: nothing,
          output: z.object({ issuer: z.string(), jwks_uri: z.string() }),
          effect: 'none',
          async run() {
            const issuer = await issuerOf(world);
            return bare(
              {
                issuer,
                jwks_uri: `${issuer}/.well-known/keys`,
                response_types_supported: ['id_token'],
                subject_types_supported: ['public'],
                id_token_signing_alg_values_supported: algorithms,
              },
              DISCOVERY_CACHE,
            );
          },
        }),
      },
    },
    {
      path: 'oidc/.well-known/keys',
      access: 'public',
      operations: {
        read: operation({
          summary: 'The keys that identity tokens are verified by.',
          input: nothing,
          output: z.object({ keys: z.array(z.record(z.string(), z.string())) }),
          effect: 'none',
          async run() {
            const { keys, until } = await oidc.published();
            // The next key is among them already: kept until the rotation, they verify what is signed after it too.
            const age = Math.max(0, seconds(until - world.clock.now()));
            return bare({ keys }, keys.length === 0 ? undefined : `max-age=${age}`);
          },
        }),
      },
    },
  ];
}

function keyRoutes({ oidc }: OidcWorld): Route[] {
  return [
    {
      path: 'oidc/key',
      operations: {
        list: operation({
          summary: 'The names of the keys.',
          input: nothing,
          output: list,
          effect: 'none',
          run: async () => ({ data: { keys: await oidc.keyNames() } }),
        }),
      },
    },
    {
      path: 'oidc/key/:name',
      exists: async ({ name = '' }) => (await oidc.settings(name)) !== undefined,
      operations: {
        read: operation({
          summary: 'Read how a key is used and rotated; never the key.',
          input: named,
          output: z.object({
            algorithm: z.string(),
            allowed_client_ids: z.array(z.string()),
            rotation_period: z.number(),
            verification_ttl: z.number(),
          }),
          effect: 'none',
          async run({ name }) {
            const key = await oidc.settings(name);
            if (key === undefined) return {};
            return {
              data: {
                algorithm: key.algorithm,
                allowed_client_ids: [...key.allowedClients],
                rotation_period: seconds(key.rotationMs),
                verification_ttl: seconds(key.verificationMs),
              },
            };
          },
        }),
        write: operation({
          summary: 'Make a key or change it; fields left out stay as they are.',
          input: named.extend({
            algorithm: text,
            rotation_period: duration().nullish(),
            verification_ttl: duration().nullish(),
            allowed_client_ids: commaList().nullish(),
          }),
          output: nothing,
          effect: 'write',
          async run({ name, algorithm, rotation_period, verification_ttl, allowed_client_ids }) {
            const fields = {
              algorithm,
              rotationMs: rotation_period,
              verificationMs: verification_ttl,
              allowedClients: allowed_client_ids,
            };
            await oidc.writeKey(name, given(fields));
            return {};
          },
        }),
        delete: operation({
          summary: 'Delete a key that no role names.',
          input: named,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await oidc.deleteKey(name);
            return {};
          },
        }),
      },
    },
    {
      path: 'oidc/key/:name/rotate',
      operations: {
        write: operation({
          summary: 'Rotate a key now.',
          input: named.extend({ verification_ttl: duration().nullish() }),
          output: nothing,
          effect: 'write',
          async run({ name, verification_ttl }) {
            await oidc.rotateKey(name, verification_ttl ?? undefined);
            return {};
          },
        }),
      },
    },
  ];
}

function roleRoutes({ oidc }: OidcWorld): Route[] {
  return [
    {
      path: 'oidc/role',
      operations: {
        list: operation({
          summary: 'The names of the roles.',
          input: nothing,
          output: list,
          effect: 'none',
          run: async () => ({ data: { keys: await oidc.roleNames() } }),
        }),
      },
    },
    {
      path: 'oidc/role/:name',
      exists: async ({ name = '' }) => (await oidc.role(name)) !== undefined,
      operations: {
        read: operation({
          summary: 'Read a role.',
          input: named,
          output: z.object({
            client_id: z.string(),
            key: z.string(),
            template: z.string(),
            ttl: z.number(),
          }),
          effect: 'none',
          async run({ name }) {
            const role = await oidc.role(name);
            if (role === undefined) return {};
            const { clientId, key, template, ttlMs } = role;
            return { data: { client_id: clientId, key, template, ttl: seconds(ttlMs) } };
          },
        }),
        write: operation({
          summary: 'Make a role or change it; fields left out stay as they are.',
          input: named.extend({ key: text, template: text, client_id: text, ttl: duration().nullish() }),
          output: nothing,
          effect: 'write',
          async run({ name, key, template, client_id, ttl }) {
            const fields = {
              key,
              template: template == null ? template : plainText(template),
              clientId: client_id,
              ttlMs: ttl,
            };
            await oidc.writeRole(name, given(fields));
            return {};
          },
        }),
        delete: operation({
          summary: 'Delete a role.',
          input: named,
          output: nothing,
          effect: 'write',
          async run({ name }) {
            await oidc.deleteRole(name);
            return {};
          },
        }),
      },
    },
  ];
}

/** Base64 holds no brace, and every template has one. */
const plainText = (template: string): string => {
  const bytes = fromBase64(template);
  return (bytes && textOf(bytes)) ?? template;
};

function tokenRoutes(world: OidcWorld): Route[] {
  return [
    {
      path: 'oidc/token/:name',
      operations: {
        read: operation({
          summary: 'A signed token about the caller.',
          input: named,
          output: z.object({ token: z.string(), client_id: z.string(), ttl: z.number() }),
          effect: 'none',
          async run({ name }, call) {
            const { token, clientId, ttlMs } = await issueIdentity(world, name, call.caller?.entityId ?? '');
            return { data: { token, client_id: clientId, ttl: seconds(ttlMs) } };
          },
        }),
      },
    },
    {
      path: 'oidc/introspect',
      operations: {
        write: operation({
          summary: 'Whether an identity token holds.',
          input: z.object({ token: text, client_id: text }),
          output: z.object({ active: z.boolean(), error: z.string().optional() }),
          effect: 'none',
          async run({ token, client_id }) {
            const error = await whyInactive(world, token ?? '', client_id ?? '');
            return bare(error === undefined ? { active: true } : { active: false, error });
          },
        }),
      },
    },
  ];
}
