/*
 * Measures contenders in turns: one second of a shared machine is not like the next, so each round gives every contender its
 * time, and ratios are taken within a round before the rounds are brought together by their median.
 */

import { median } from './percentile.mjs';

/**
 * @param entries what is measured, the one that ratios are against first: { contender, variant, params }
 * @param counts numbers of clients, each measured for itself
 * @returns rows: { name, variant, clients, perSecond, p50Ms, p99Ms, cpuUs, ratio, generatorShare }, in the order of entries;
 *   `cpuUs` is CPU time of the server per answer in microseconds, undefined where nobody counts it
 */
export async function measureInTurns({ entries, counts, module, generator, seconds, rounds, warmup }) {
  const job = ({ contender, params }, clients, during) => ({
    module,
    params,
    host: contender.host,
    port: contender.port,
    clients,
    seconds: during,
  });
  for (const entry of entries) for (const clients of counts) await generator.run(job(entry, clients, warmup));
  const found = [];
  for (let round = 0; round < rounds; round++)
    for (const clients of counts) {
      let first;
      // Each round begins with another one: who comes after whom must not matter.
      for (const index of turned(entries.length, round)) {
        const entry = entries[index];
        const before = entry.contender.usage?.();
        const result = await generator.run(job(entry, clients, seconds));
        const after = entry.contender.usage?.();
        const cpuUs =
          before === undefined || after === undefined
            ? undefined
            : ((after.cpuSeconds - before.cpuSeconds) / result.answers) * 1e6;
        found.push({ round, index, clients, cpuUs, ...result });
        if (index === 0) first = result;
      }
      for (const one of found)
        if (one.round === round && one.clients === clients) one.ratio = one.perSecond / first.perSecond;
    }
  return counts.flatMap((clients) =>
    entries.map(({ contender, variant }, index) => {
      const own = found.filter((one) => one.index === index && one.clients === clients);
      const middle = (name) => median(own.map((one) => one[name]));
      return {
        name: contender.name,
        variant,
        clients,
        perSecond: middle('perSecond'),
        p50Ms: middle('p50Ms'),
        p99Ms: middle('p99Ms'),
        cpuUs: own.some(({ cpuUs }) => cpuUs === undefined) ? undefined : middle('cpuUs'),
        ratio: middle('ratio'),
        rounds: own.map(({ perSecond }) => Math.round(perSecond)),
        generatorShare: median(own.map((one) => one.generatorCpuSeconds / seconds)),
      };
    }),
  );
}

const turned = (length, by) => Array.from({ length }, (_, i) => (i + by) % length);
