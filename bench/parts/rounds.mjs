/*
 * Measures contenders in turns: one second of a shared machine is not like the next, so each round gives every contender its
 * time, and ratios are taken within a round before the rounds are brought together by their median.
 */

import { median } from './percentile.mjs';

/** How long each runs before it is measured. */
const SETTLE_S = 1;

/**
 * @param entries what is measured: { contender, variant, kind, params }; ratios are against the first one of the same kind
 * @param counts numbers of clients, each measured for itself
 * @param perSecond how much all clients together ask in a second; absent: as much as they can
 * @returns rows: { name, variant, clients, pace, perSecond, p50Ms, p99Ms, cpuUs, ratio, toPeer, rounds, generatorShare }, in the
 *   order of entries; `cpuUs` is CPU time of the server per answer in microseconds, undefined where nobody counts it
 */
export async function measureInTurns({
  entries,
  counts,
  perSecond,
  module,
  generator,
  seconds,
  rounds,
  warmup,
}) {
  const job = ({ contender, params }, clients, during) => ({
    module,
    params,
    host: contender.host,
    port: contender.port,
    clients,
    seconds: during,
    perSecond,
  });
  for (const entry of entries) for (const clients of counts) await generator.run(job(entry, clients, warmup));
  const found = [];
  for (let round = 0; round < rounds; round++)
    // Each round begins with another one: who comes after whom must not matter.
    for (const clients of counts)
      for (const index of turned(entries.length, round)) {
        const { usage } = entries[index].contender;
        // It stood idle while the others had their time: its memory was given back, and the caches are theirs.
        await generator.run(job(entries[index], clients, Math.min(warmup, SETTLE_S)));
        const before = usage();
        const result = await generator.run(job(entries[index], clients, seconds));
        found.push({ round, index, clients, ...result, cpuUs: cpuPerAnswer(before, usage(), result) });
      }
  return counts.flatMap((clients) =>
    entries.map((entry, index) => {
      const of = (wanted) => found.filter((one) => one.index === wanted && one.clients === clients);
      const bare = entries.findIndex(({ kind }) => kind === entry.kind);
      const runs = { own: of(index), bare: of(bare), peer: of(peerOf(entries, entry)) };
      return rowOf(entry, { clients, pace: perSecond }, runs);
    }),
  );
}

/** The peer that our server is held against: the one that does the same. */
const peerOf = (entries, { contender, variant }) =>
  contender.name === 'holdfast'
    ? entries.findIndex((other) => other.contender.name === 'peer' && other.variant === variant)
    : -1;

function cpuPerAnswer(before, after, { answers }) {
  if (before === undefined || after === undefined) return undefined;
  return ((after.cpuSeconds - before.cpuSeconds) / answers) * 1e6;
}

function rowOf({ contender, variant }, { clients, pace }, { own, bare, peer }) {
  const middle = (name) => median(own.map((one) => one[name]));
  const ratioTo = (others) =>
    median(
      own.map(({ round, perSecond }) => perSecond / others.find((one) => one.round === round).perSecond),
    );
  return {
    name: contender.name,
    variant,
    clients,
    pace,
    perSecond: middle('perSecond'),
    rounds: own.map(({ perSecond }) => Math.round(perSecond)),
    ratio: ratioTo(bare),
    toPeer: peer.length === 0 ? undefined : ratioTo(peer),
    p50Ms: middle('p50Ms'),
    p99Ms: middle('p99Ms'),
    cpuUs: own.some(({ cpuUs }) => cpuUs === undefined) ? undefined : middle('cpuUs'),
    generatorShare: middle('generatorShare'),
  };
}

const turned = (length, by) => Array.from({ length }, (_, i) => (i + by) % length);
