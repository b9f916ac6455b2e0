/** Who of several replicas works on a key: the one whose hash with it is highest, so that one who leaves moves only its own. */

import { sha256 } from '../../base/bytes.ts';

/** @returns the winner; undefined where there is nobody */
export function ownerOf(key: string, members: Iterable<string>): string | undefined {
  let best: { readonly member: string; readonly score: bigint } | undefined;
  for (const member of members) {
    const score = sha256(`${member}\n${key}`).readBigUInt64BE(0);
    if (best === undefined || score > best.score || (score === best.score && member > best.member))
      best = { member, score };
  }
  return best?.member;
}
