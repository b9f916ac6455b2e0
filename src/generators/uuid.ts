/** UUID: a random one (RFC 9562, version 4). */

import { utf8 } from '../base/bytes.ts';
import { uuid } from '../crypto/random.ts';
import { uuidSpec } from '../operator/api/generators/schemas.ts';
import type { GeneratorType } from '../provider/generator.ts';

export const uuidGenerator: GeneratorType<object> = {
  kind: 'UUID',
  spec: uuidSpec,
  async generate() {
    return new Map([['uuid', utf8(uuid())]]);
  },
};
