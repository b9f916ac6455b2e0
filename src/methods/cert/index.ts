/**
 * Login with a TLS client certificate. The listener asks for one without insisting, and believes nothing of it but that the
 * client holds its key; whether it is trusted is decided here, against the certificates that are configured.
 *
 * Storage: `config`; `cert/<name>`; `crl/<name>`.
 */

import { z } from 'zod';
import { inCidrs } from '../../base/cidr.ts';
import { failure } from '../../base/errors.ts';
import { flag, integer } from '../../base/schema.ts';
import { type Call, type Mount, operation, type PluginType, type Route } from '../../plugin/plugin.ts';
import { Shelf } from '../../plugin/shelf.ts';
import { loginName, samePolicies, tokenParams } from '../token-fields.ts';
import { metadataOf } from './constraints.ts';
import { type Crl, type Entry, readConfig, writeConfig } from './entry.ts';
import { findTrusted, type Trust } from './login.ts';
import { certRoutes } from './routes/certs.ts';
import { crlRoutes } from './routes/crls.ts';
import { type Certificate, decimalSerial, readCertificate } from './x509.ts';

export const cert: PluginType = {
  name: 'cert',
  kind: 'auth',
  create(mount) {
    const certs = new Shelf<Entry>(mount, 'cert/');
    const crls = new Shelf<Crl>(mount, 'crl/');
    const trust: Trust = { certs, crls, clock: mount.clock };
    return {
      routes: [...certRoutes(certs), ...crlRoutes(crls), configRoute(mount), loginRoute(mount, trust)],
      async renewLogin({ metadata, policies }, call) {
        const name = metadata['cert_name'] ?? '';
        const { disableBinding } = await readConfig(mount.storage);
        if (!disableBinding) {
          const client = clientOf(call);
          const same =
            colons(client.subjectKeyId) === metadata['subject_key_id'] &&
            colons(client.authorityKeyId) === metadata['authority_key_id'] &&
            decimalSerial(client) === metadata['serial_number'];
          if (!same) throw failure('cert.changed');
          if ((await findTrusted(trust, client, name)) === undefined) throw failure('cert.no_match');
        }
        const entry = await certs.get(name);
        if (entry === undefined) throw failure('cert.no_match');
        if (!samePolicies(entry.token, policies)) throw failure('login.changed');
        return tokenParams(entry.token);
      },
    };
  },
};

const loginRoute = (mount: Mount, trust: Trust): Route => ({
  path: 'login',
  access: 'public',
  operations: {
    write: operation({
      summary: 'Log in with the client certificate of the connection.',
      input: z.object({ name: z.string().max(512).nullish() }),
      output: z.object({}),
      effect: 'write',
      async run({ name: given }, call) {
        const client = clientOf(call);
        const only = given?.toLowerCase() ?? '';
        // A name with a slash would reach outside of the folder.
        const found = only.includes('/') ? undefined : await findTrusted(trust, client, only);
        if (found === undefined) throw failure('cert.no_match');
        const { name, entry } = found;
        if (!inCidrs(call.remote.address, entry.token.boundCidrs)) throw failure('request.denied');
        const metadata = {
          ...metadataOf(client, entry.metadataExtensions),
          cert_name: name,
          common_name: client.commonName,
          serial_number: decimalSerial(client),
          subject_key_id: colons(client.subjectKeyId),
          authority_key_id: colons(client.authorityKeyId),
        };
        const config = await readConfig(mount.storage);
        return {
          auth: {
            displayName: loginName(mount, entry.displayName),
            policies: entry.token.policies,
            metadata,
            alias: {
              name: client.commonName,
              ...(config.enableIdentityAliasMetadata ? { metadata } : {}),
            },
            token: tokenParams(entry.token),
          },
        };
      },
    }),
  },
});

/** @throws Failure cert.no_certificate */
function clientOf(call: Call): Certificate {
  const client = call.peerCertificate && readCertificate(call.peerCertificate);
  if (client === undefined) throw failure('cert.no_certificate');
  return client;
}

const configRoute = (mount: Mount): Route => ({
  path: 'config',
  operations: {
    read: operation({
      summary: 'Read the configuration.',
      input: z.object({}),
      output: z.object({
        disable_binding: z.boolean(),
        enable_identity_alias_metadata: z.boolean(),
        ocsp_cache_size: z.number(),
      }),
      effect: 'none',
      async run() {
        const config = await readConfig(mount.storage);
        return {
          data: {
            disable_binding: config.disableBinding,
            enable_identity_alias_metadata: config.enableIdentityAliasMetadata,
            ocsp_cache_size: config.ocspCacheSize,
          },
        };
      },
    }),
    write: operation({
      summary: 'Configure the method; fields left out stay as they are.',
      input: z.object({
        disable_binding: flag().nullish(),
        enable_identity_alias_metadata: flag().nullish(),
        ocsp_cache_size: integer().nullish(),
      }),
      output: z.object({}),
      effect: 'write',
      async run(given) {
        const before = await readConfig(mount.storage);
        const ocspCacheSize = given.ocsp_cache_size ?? before.ocspCacheSize;
        if (ocspCacheSize < 2)
          throw failure('cert.invalid', { reason: 'ocsp_cache_size must be at least 2' });
        await writeConfig(mount.storage, {
          disableBinding: given.disable_binding ?? before.disableBinding,
          enableIdentityAliasMetadata:
            given.enable_identity_alias_metadata ?? before.enableIdentityAliasMetadata,
          ocspCacheSize,
        });
        return {};
      },
    }),
  },
});

/** As Go prints key identifiers: "0a:1b". */
const colons = (hex: string): string => hex.toLowerCase().replace(/..(?=.)/g, '$&:');
