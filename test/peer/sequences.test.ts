/** Fixed sequences to our server and to an upstream one: whatever differs in the answers is listed, or is a bug. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Pair, type Step, startPair, unexplained } from './pair.ts';
import { withoutPeer } from './peer.ts';
import { approle } from './sequences/approle.ts';
import { engines } from './sequences/engines.ts';
import { identity } from './sequences/identity.ts';
import { kv } from './sequences/kv.ts';
import { mounts } from './sequences/mounts.ts';
import { pki } from './sequences/pki.ts';
import { policies } from './sequences/policies.ts';
import { sys } from './sequences/sys.ts';
import { tokens } from './sequences/tokens.ts';
import { TYPES, transit, transitType } from './sequences/transit.ts';
import { userpass } from './sequences/userpass.ts';

if (withoutPeer !== undefined) console.warn(`SKIPPED test/peer: ${withoutPeer}`);

describe.skipIf(withoutPeer !== undefined)('the same requests to both get the same answers', () => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await startPair();
  });

  afterAll(() => pair?.stop());

  const sequences: readonly (readonly [string, readonly Step[]])[] = [
    ['kv', kv],
    ['policies', policies],
    ['tokens', tokens],
    ['transit', transit],
    ...TYPES.map((type) => [`transit with ${type}`, transitType(type)] as const),
    ['approle', approle],
    ['userpass', userpass],
    ['mounts', mounts],
    ['sys', sys],
    ['identity', identity],
    ['pki', pki],
    ['other engines', engines],
  ];

  test.each(sequences)('of %s', async (name, steps) => {
    const findings = await pair.run(steps);
    const meant = new Map<string, number>();
    for (const { deviation } of findings)
      if (deviation !== undefined) meant.set(deviation.why, (meant.get(deviation.why) ?? 0) + 1);
    console.info(
      `${name}: ${steps.length} requests to ${pair.peerName}; meant to differ: ${JSON.stringify([...meant], null, 1)}`,
    );
    expect(unexplained(findings)).toEqual([]);
  });
});
