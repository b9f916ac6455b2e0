// One thread of the server and two: what a second one brings where there are cores for it, and what it costs where there are none.

import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { compare } from './parts/compare.mjs';
import { issueTokens, mountKv, readTraffic, secretsFor, seedSecrets } from './parts/secrets.mjs';

export const summary = 'KV version 2, read, by one thread and by two';

const MODULE = fileURLToPath(import.meta.url);
/** The generator takes one core, and the kernel some of another. */
const ENOUGH_CORES = 4;
const CLIENTS = 64;

export const run = (options) => {
  const count = secretsFor(options);
  return compare(
    { ...options, peer: false, clients: options.smoke ? options.clients : [CLIENTS] },
    {
      title: `${summary}: ${count} secrets of about 480 bytes, at random, a token for each client`,
      module: MODULE,
      variants: ['audit off', 'audit to a file'].flatMap((audited) =>
        [1, 2].map((threads) => ({
          variant: `${audited}, threads = ${threads}`,
          audit: audited !== 'audit off',
          config: `threads = ${threads}`,
        })),
      ),
      async prepare(api, { contender, generator }) {
        await mountKv(api);
        await seedSecrets(contender, generator, count);
        return { tokens: await issueTokens(api, Math.max(...options.clients, CLIENTS)), count };
      },
      claims: ['audit off', 'audit to a file'].map(claim),
    },
  );
};

const claim = (audited) => {
  const rows = (find) => [1, 2].map((threads) => find(`${audited}, threads = ${threads}`, CLIENTS));
  if (availableParallelism() >= ENOUGH_CORES)
    return {
      text: `${audited}: two threads answer at least 1.6 times as much as one`,
      holds(find) {
        const [one, two] = rows(find);
        return one && two && two.perSecond >= 1.6 * one.perSecond;
      },
    };
  return {
    text: `${audited}: an answer costs two threads at most 1.15 times the CPU of one`,
    holds(find) {
      const [one, two] = rows(find);
      return one && two && two.cpuUs <= 1.15 * one.cpuUs;
    },
  };
};

export const traffic = readTraffic;
