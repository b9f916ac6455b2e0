/** The operator's own token at the cluster that it runs in, for stores that it is lent to. */

import { readFile } from 'node:fs/promises';
import { failure } from '../../base/errors.ts';
import type { ProviderEnv } from '../../provider/provider.ts';

const TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * Reads it anew each time: the kubelet writes another one before the old one ends.
 * @returns what asks for it for a store. @throws Failure provider.unsupported where there is none
 */
export const ownToken =
  (file = TOKEN_FILE) =>
  async ({ store }: Pick<ProviderEnv, 'store'>): Promise<string> => {
    const token = (await readFile(file, 'utf8').catch(() => '')).trim();
    if (token !== '') return token;
    throw failure('provider.unsupported', {
      store,
      reason: `it would show the operator's own token, and ${file} holds none`,
      mend: 'Name a serviceAccountRef, or run the operator as a Pod whose token is mounted.',
    });
  };
