/**
 * How the operator hears of changes: under an identity of its own, which may subscribe and nothing else. The address of a
 * server is a tenant's to write, in a store; this identity is shown only to servers that the operator's own settings name,
 * else a tenant could collect it and hear of everybody's changes.
 */

import { loginKubernetes } from '../../client/auth.ts';
import { type ClientOptions, VaultClient } from '../../client/client.ts';
import { subscribe } from '../../client/events.ts';
import type { Subscribe } from '../../operator/push.ts';

export interface HearingOptions {
  /** Whether a server ("https://vault.example.com:8200") is one of those that the operator logs in to. */
  isKnown(server: string): boolean;
  /** The mount of the auth method, without "auth/". */
  readonly mount: string;
  readonly role: string;
  /** A token of the operator's own service account, made for the server. */
  jwt(): Promise<string>;
  /** PEM, of servers whose certificates the system does not trust. */
  readonly ca?: string | undefined;
  readonly resolve?: ClientOptions['resolve'];
}

/** What `createOperator` subscribes with. A server that is not known is never asked, and tells nothing. */
export function hearing({ isKnown, mount, role, jwt, ca, resolve }: HearingOptions): Subscribe {
  return async function* (server, { after, signal, opened }) {
    if (!isKnown(server)) return await untilAborted(signal);
    const bare = new VaultClient({ address: server, ca, resolve, retries: 0 });
    try {
      const { clientToken } = await loginKubernetes(bare, { mount, role, jwt: await jwt() }, { signal });
      yield* subscribe(bare.with({ token: clientToken }), { type: '*', after, signal, opened });
    } finally {
      bare.close();
    }
  };
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
