/** The bearer token that requests carry, read again from its file as the kubelet rotates it. */

import { failure } from '../base/errors.ts';
import type { KubeConfig } from './config.ts';

/** How long a projected token is used before its file is looked at again. */
const TOKEN_AGE_MS = 60_000;

export interface Credentials {
  /** @throws Failure kube.config where the file cannot be read */
  token(): string | undefined;
  /** Forgets a token that the server refused; true where another look at the file may help. */
  refresh(): boolean;
}

export function createCredentials(config: KubeConfig, readFile: (path: string) => string): Credentials {
  let held: { readonly token: string; readonly at: number } | undefined;
  const { tokenFile } = config;
  return {
    token(): string | undefined {
      if (config.token !== undefined || tokenFile === undefined) return config.token;
      if (held !== undefined && performance.now() - held.at < TOKEN_AGE_MS) return held.token;
      try {
        held = { token: readFile(tokenFile).trim(), at: performance.now() };
      } catch {
        throw failure('kube.config', { reason: `the token file ${tokenFile} cannot be read` });
      }
      return held.token;
    },
    refresh(): boolean {
      if (config.token !== undefined || tokenFile === undefined) return false;
      held = undefined;
      return true;
    },
  };
}
