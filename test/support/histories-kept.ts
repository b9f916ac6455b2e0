/** What a KV mount keeps at the end, version by version, asked of one node. */

import { Agent } from 'node:http';
import { registerOf, send, type Way } from './histories-load.ts';

const PARALLEL = 16;
const TIMEOUT_MS = 10_000;

/**
 * @returns for each key the value of each version, undefined where it was deleted; a key that never was has none
 * @throws Error where the node does not tell
 */
export async function keptVersions(
  way: Way,
  mount: string,
  token: string,
  keys: Iterable<string>,
): Promise<Map<string, Map<number, string | undefined>>> {
  const agent = new Agent({ keepAlive: true, maxSockets: PARALLEL });
  const read = async (path: string) => {
    const answer = await send(agent, way, { verb: 'GET', path, body: undefined }, token, TIMEOUT_MS);
    const found = 'text' in answer ? registerOf(answer.text) : undefined;
    if (found === undefined) throw new Error(`${way.name} does not tell ${path}: ${JSON.stringify(answer)}`);
    return found;
  };
  const kept = new Map<string, Map<number, string | undefined>>();
  const left = [...keys];
  const reader = async (): Promise<void> => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) {
      const versions = new Map<number, string | undefined>();
      kept.set(key, versions);
      const { version: newest } = await read(`/v1/${mount}/data/${key}`);
      for (let version = 1; version <= newest; version++)
        versions.set(version, (await read(`/v1/${mount}/data/${key}?version=${version}`)).value);
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, reader));
  } finally {
    agent.destroy();
  }
  return kept;
}
