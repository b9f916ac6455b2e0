/** Everything that a person could name in the server, as one text: what must be the same after an attack as before. */

import type { TestPlatform } from './platform.ts';

interface Listed {
  readonly data?: { readonly keys?: readonly string[] };
}

/** Policies, mounts, auth methods, roles, and every version of every secret, with their texts. */
export async function inventory(platform: Pick<TestPlatform, 'address' | 'keys'>): Promise<string> {
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`${platform.address}/v1/${path}`, {
      headers: { 'x-vault-token': platform.keys.rootToken },
    });
    const { request_id: _id, ...rest } = (await response.json()) as Record<string, unknown>;
    return rest;
  };
  const keysOf = async (path: string): Promise<readonly string[]> =>
    ((await get(`${path}?list=true`)) as Listed).data?.keys ?? [];
  const found: Record<string, unknown> = {};
  const note = async (path: string): Promise<void> => {
    found[path] = await get(path);
  };
  const walk = async (mount: string, folder: string): Promise<void> => {
    for (const key of await keysOf(`${mount}/metadata/${folder}`)) {
      if (key.endsWith('/')) await walk(mount, folder + key);
      else {
        await note(`${mount}/metadata/${folder}${key}`);
        await note(`${mount}/data/${folder}${key}`);
      }
    }
  };
  await note('sys/mounts');
  await note('sys/auth');
  for (const name of await keysOf('sys/policies/acl')) await note(`sys/policies/acl/${name}`);
  for (const name of await keysOf('auth/kubernetes/role')) await note(`auth/kubernetes/role/${name}`);
  await walk('secret', '');
  return JSON.stringify(found, undefined, 1);
}
