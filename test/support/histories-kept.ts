/** What a KV mount keeps at the end, version by version, asked of one node. */

import { Agent } from 'node:http';
import type { Kept } from './histories.ts';
import { registerOf, send, type Way } from './histories-load.ts';

const PARALLEL = 16;
const TIMEOUT_MS = 10_000;

/**
 * Looks at every version, and brings back the deleted ones to look at them too: nobody may use the keys any more.
 * @throws Error where the node does not tell
 */
export async function keptVersions(
  way: Way,
  mount: string,
  token: string,
  keys: Iterable<string>,
): Promise<Kept> {
  const agent = new Agent({ keepAlive: true, maxSockets: PARALLEL });
  const ask = async (verb: string, path: string, body?: object) => {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const asked = { verb, path: `/v1/${mount}/${path}`, body: sent };
    const answer = await send(agent, way, asked, token, TIMEOUT_MS);
    if (!('text' in answer) || answer.status > 404)
      throw new Error(`${way.name} does not tell ${path}: ${JSON.stringify(answer)}`);
    return answer;
  };
  const read = async (path: string) => {
    const found = registerOf((await ask('GET', `data/${path}`)).text);
    if (found === undefined) throw new Error(`${way.name} tells no version of ${path}`);
    return found;
  };
  const versionsOf = async (key: string) => {
    const { version: newest } = await read(key);
    const versions = new Map<number, { value: string | undefined; deleted: boolean }>();
    for (let version = 1; version <= newest; version++) {
      const { value } = await read(`${key}?version=${version}`);
      versions.set(version, { value, deleted: value === undefined });
    }
    const hidden = [...versions].filter(([, { deleted }]) => deleted).map(([version]) => version);
    if (hidden.length > 0) await ask('POST', `undelete/${key}`, { versions: hidden });
    for (const version of hidden)
      versions.set(version, { value: (await read(`${key}?version=${version}`)).value, deleted: true });
    return versions;
  };
  const kept = new Map<string, Awaited<ReturnType<typeof versionsOf>>>();
  const left = [...keys];
  const reader = async (): Promise<void> => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) kept.set(key, await versionsOf(key));
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, reader));
  } finally {
    agent.destroy();
  }
  return kept;
}
