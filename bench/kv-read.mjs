// Reading KV version 2: ten thousand secrets, each client with a token of its own and a policy that names the mount.

import { fileURLToPath } from 'node:url';
import { AUDIT_OFF_AND_ON, compare } from './parts/compare.mjs';
import { issueTokens, mountKv, readTraffic, secretsFor, seedSecrets } from './parts/secrets.mjs';

export const summary = 'KV version 2, read';

const MODULE = fileURLToPath(import.meta.url);

export const run = (options) => {
  const count = secretsFor(options);
  return compare(options, {
    title: `${summary}: ${count} secrets of about 480 bytes, at random, a token for each client`,
    module: MODULE,
    variants: AUDIT_OFF_AND_ON,
    async prepare(api, { contender, generator }) {
      await mountKv(api);
      await seedSecrets(contender, generator, count);
      return { tokens: await issueTokens(api, Math.max(...options.clients)), count };
    },
    claims: [claim('audit off', 0.75), claim('audit to a file', 0.5)],
  });
};

const claim = (variant, least) => ({
  text: `at 64 clients and with ${variant}, at least ${least} of bare node:http`,
  holds: (find) => {
    const row = find(variant, 64);
    return row && row.ratio >= least;
  },
});

export const traffic = readTraffic;
