/** The generators that the operator has: the one list, for `holdfast controller` and `holdfast dev` alike. */

import { systemClock } from '../../base/clock.ts';
import { endpointsFrom } from '../../gcp/endpoints.ts';
import { googleMachine } from '../../gcp/machine.ts';
import { createEcrGenerator } from '../../generators/aws/ecr.ts';
import { createStsGenerator } from '../../generators/aws/sts.ts';
import { createAcrGenerator } from '../../generators/azure/acr.ts';
import { fakeGenerator } from '../../generators/fake.ts';
import { createGcrGenerator } from '../../generators/gcp/gcr.ts';
import { createGithubGenerator } from '../../generators/github.ts';
import { passwordGenerator } from '../../generators/password.ts';
import { sshKeyGenerator } from '../../generators/sshkey.ts';
import { uuidGenerator } from '../../generators/uuid.ts';
import { createVaultDynamicSecret } from '../../generators/vault/vaultdynamicsecret.ts';
import { createWebhookGenerator } from '../../generators/webhook/webhook.ts';
import type { GeneratorType } from '../../provider/generator.ts';
import { endpointFrom } from '../../providers/aws/endpoints.ts';
import { clouds, type ProviderOptions } from './providers.ts';

export function generators(options: ProviderOptions): readonly GeneratorType[] {
  const { env, lendOwnKeys = false } = options;
  const aws = { endpoint: endpointFrom(env), lendOwnKeys, now: Date.now };
  return [
    passwordGenerator,
    uuidGenerator,
    fakeGenerator,
    sshKeyGenerator,
    createVaultDynamicSecret(systemClock, clouds(options)),
    createWebhookGenerator(systemClock),
    createEcrGenerator(aws),
    createStsGenerator(aws),
    createGcrGenerator({
      endpoints: endpointsFrom(env),
      lendOwnKeys,
      now: Date.now,
      ...(lendOwnKeys ? { machine: googleMachine } : {}),
    }),
    createAcrGenerator({ lendOwnKeys, tenant: env['AZURE_TENANT_ID'] ?? '' }),
    createGithubGenerator(systemClock),
  ];
}
