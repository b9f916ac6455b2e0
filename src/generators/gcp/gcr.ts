/** GCRAccessToken: a token of Google under the name that its registries of containers know it by. */

import type { z } from 'zod';
import { utf8 } from '../../base/bytes.ts';
import { googleAuth } from '../../gcp/spec.ts';
import type { TokenOptions } from '../../gcp/token.ts';
import { googleTokens } from '../../gcp/tokens.ts';
import { gcrAccessTokenSpec } from '../../operator/api/generators/schemas.ts';
import type { GeneratorType } from '../../provider/generator.ts';

const spec = gcrAccessTokenSpec.extend({ auth: googleAuth });
type Spec = z.output<typeof spec>;

const USERNAME = 'oauth2accesstoken';

export const createGcrGenerator = (options: Omit<TokenOptions, 'projectID'>): GeneratorType<Spec> => ({
  kind: 'GCRAccessToken',
  spec,
  async generate({ auth, projectID }, env) {
    const token = await googleTokens(auth, env, { ...options, projectID });
    const { value, expiresAt } = await token();
    return new Map([
      ['username', utf8(USERNAME)],
      ['password', utf8(value)],
      ['expiry', utf8(String(Math.floor(expiresAt / 1000)))],
    ]);
  },
});
