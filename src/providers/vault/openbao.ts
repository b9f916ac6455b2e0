/**
 * `spec.provider.openBao` of a store, as upstream's v1 schema has it: a part of what `vault` takes, for the same API. Keys are
 * taken as they are, below a mount that is "kv" unless the store says otherwise. Upstream's is read-only; this one is not.
 */

import { z } from 'zod';
import type { ProviderType } from '../../provider/provider.ts';
import { authSpec } from './auth/spec.ts';
import type { PathRule } from './path.ts';
import { type VaultSpec, vaultSpec } from './spec.ts';

const auth = authSpec
  .pick({ namespace: true, tokenSecretRef: true, userPass: true, appRole: true })
  .refine(
    ({ tokenSecretRef, userPass, appRole }) =>
      [tokenSecretRef, userPass, appRole].filter((method) => method !== undefined).length === 1,
    { error: 'exactly one of tokenSecretRef, userPass, appRole must be set' },
  );

export const openBaoSpec = vaultSpec
  .pick({ server: true, version: true, namespace: true, caBundle: true, caProvider: true })
  .extend({ path: z.string().default('kv'), auth: auth.optional() });

export type OpenBaoSpec = z.output<typeof openBaoSpec>;

/** The same store in the words of `vault`. */
export const asVault = (spec: OpenBaoSpec): VaultSpec & PathRule => ({ ...spec, verbatim: true });

/** The provider `openBao`. @param vault the provider that does the work */
export const createOpenBaoProvider = (vault: ProviderType<VaultSpec>): ProviderType<OpenBaoSpec> => ({
  name: 'openBao',
  spec: openBaoSpec as ProviderType<OpenBaoSpec>['spec'],
  connect: (spec, env) => vault.connect(asVault(spec), env),
  ...(vault.lessor === undefined ? {} : { lessor: vault.lessor }),
});
