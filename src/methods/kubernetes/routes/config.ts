/** `config`: the API server that reviews tokens. */

import { z } from 'zod';
import { commaList, flag } from '../../../base/schema.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import type { Settings } from '../config.ts';

export const configRoute = (settings: Settings): Route => ({
  path: 'config',
  operations: {
    read: operation({
      summary: 'Read which API server is asked; the token that asks is never told.',
      input: z.object({}),
      output: z.object({
        disable_iss_validation: z.boolean(),
        disable_local_ca_jwt: z.boolean(),
        issuer: z.string(),
        kubernetes_ca_cert: z.string(),
        kubernetes_host: z.string(),
        pem_keys: z.array(z.string()),
        token_reviewer_jwt_set: z.boolean(),
      }),
      effect: 'none',
      async run() {
        const stored = await settings.stored();
        if (stored === undefined) return {};
        const { value: config } = stored;
        return {
          data: {
            disable_iss_validation: !config.checkIssuer,
            disable_local_ca_jwt: !config.useLocal,
            issuer: config.issuer,
            kubernetes_ca_cert: config.ca,
            kubernetes_host: config.host,
            pem_keys: [...config.pemKeys],
            token_reviewer_jwt_set: config.reviewerJwt !== '',
          },
        };
      },
    }),
    write: operation({
      summary: 'Set which API server is asked, under which CA and with which token. Replaces all of it.',
      input: z.object({
        kubernetes_host: z.string().max(2048).nullish(),
        kubernetes_ca_cert: z.string().nullish(),
        token_reviewer_jwt: z
          .string()
          .max(64 * 1024)
          .nullish(),
        pem_keys: commaList().nullish(),
        issuer: z.string().nullish(),
        disable_iss_validation: flag().nullish(),
        disable_local_ca_jwt: flag().nullish(),
      }),
      output: z.object({}),
      effect: 'write',
      async run(given) {
        await settings.save({
          host: given.kubernetes_host?.trim() ?? '',
          // Read back as it was written, line ends and all, or declarative clients would see a change each time.
          ca: given.kubernetes_ca_cert?.trim() ? given.kubernetes_ca_cert : '',
          reviewerJwt: given.token_reviewer_jwt?.trim() ?? '',
          pemKeys: given.pem_keys ?? [],
          issuer: given.issuer ?? '',
          checkIssuer: given.disable_iss_validation === false,
          useLocal: given.disable_local_ca_jwt !== true,
        });
        return {};
      },
    }),
  },
});
