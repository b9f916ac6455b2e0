// Reading KV version 2: each client with a token of its own and a policy that names the mount.

import { fileURLToPath } from 'node:url';
import { AUDIT_OFF_AND_ON, compare } from './parts/compare.mjs';
import { issueTokens, mountKv, readTraffic, secretsFor, seedSecrets } from './parts/secrets.mjs';

export const summary = 'KV version 2, read';

const MODULE = fileURLToPath(import.meta.url);

/** What fits the caches of a processor, and what does not. */
const SIZES = [1000, 10_000];

export const run = (options) => {
  const sizes = options.smoke ? [secretsFor(options)] : (options.sizes ?? SIZES);
  const wanted = sizes.flatMap((size) => AUDIT_OFF_AND_ON.map((how) => ({ ...how, size })));
  return compare(options, {
    title: `${summary}: secrets of about 480 bytes, at random, a token for each client`,
    module: MODULE,
    variants: wanted.map(({ variant, size, ...how }) => ({
      ...how,
      variant: named(variant, size),
      kind: `${size} secrets`,
    })),
    async prepare(api, { contender, generator, kind }) {
      const count = Number.parseInt(kind, 10);
      await mountKv(api);
      await seedSecrets(contender, generator, count);
      return { tokens: await issueTokens(api, Math.max(...options.clients)), count };
    },
    claims: wanted.map(({ variant, audit, size }) => claim(named(variant, size), audit ? 0.5 : 0.75)),
  });
};

const named = (variant, size) => `${variant}, ${size} secrets`;

const claim = (variant, least) => ({
  text: `at 64 clients, ${variant}: at least ${least} of bare node:http`,
  holds: (find) => {
    const row = find(variant, 64);
    return row && row.ratio >= least;
  },
});

export const traffic = readTraffic;
