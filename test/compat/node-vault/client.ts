/** How the suites beside this make their clients: each one watched by the recording that they share. */

import type nodeVault from 'node-vault';
import type { TestServer } from '../server.ts';

/** @param token absent: the root token of the server; empty: none */
export type MakeClient = (server: TestServer, token?: string, options?: object) => nodeVault.client;

/** A command that node-vault has but its types do not, or whose answer they leave open. */
export const command = (
  vault: nodeVault.client,
  name: string,
  options: object = {},
  // biome-ignore lint/suspicious/noExplicitAny: the library types these answers as any
): Promise<any> =>
  (vault as unknown as Record<string, (options: object) => Promise<unknown>>)[name]?.(options) ??
  Promise.reject(new Error(`node-vault has no ${name}`));
