/** Fake: what its manifest says, each time the same. */

import { utf8 } from '../base/bytes.ts';
import { fakeSpec } from '../operator/api/generators/schemas.ts';
import type { GeneratorType } from '../provider/generator.ts';

type Spec = ReturnType<typeof fakeSpec.parse>;

export const fakeGenerator: GeneratorType<Spec> = {
  kind: 'Fake',
  spec: fakeSpec,
  async generate({ data }) {
    return new Map(Object.entries(data).map(([key, text]) => [key, utf8(text)]));
  },
};
