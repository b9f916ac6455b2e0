/** The generators that the operator has: the one list, for `holdfast controller` and `holdfast dev` alike. */

import { fakeGenerator } from '../../generators/fake.ts';
import { passwordGenerator } from '../../generators/password.ts';
import { sshKeyGenerator } from '../../generators/sshkey.ts';
import { uuidGenerator } from '../../generators/uuid.ts';
import type { GeneratorType } from '../../provider/generator.ts';
import type { ProviderOptions } from './providers.ts';

export const generators = (_options: ProviderOptions): readonly GeneratorType[] => [
  passwordGenerator,
  uuidGenerator,
  fakeGenerator,
  sshKeyGenerator,
];
