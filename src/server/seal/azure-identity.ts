/** As whom Azure is asked: by a secret of an application, by a token in a file (workload identity), or by the machine's identity. */

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { failureIn } from '../../azure/transport.ts';
import { textOf } from '../../base/bytes.ts';
import { type Ask, said, trouble, verdictOf } from './ask.ts';
import { azureOptions } from './azure-client.ts';

export const AZUREKEYVAULT = 'azurekeyvault';
export const AZURE_METADATA = 'http://169.254.169.254';
const TIMEOUT_MS = 5000;

export type AzureIdentity =
  | { readonly kind: 'secret'; readonly tenant: string; readonly client: string; readonly secret: string }
  | { readonly kind: 'token'; readonly tenant: string; readonly client: string; readonly file: string }
  /** `client` chooses among several identities; empty: the machine's own. */
  | { readonly kind: 'machine'; readonly client: string };

/** What Azure's clients ask for tokens: their `TokenCredential`. */
export interface AzureCredential {
  getToken(
    scopes: string | string[],
    options?: { tenantId?: string },
  ): Promise<{ token: string; expiresOnTimestamp: number } | null>;
}

/**
 * @param authority URL of Entra ID
 * @throws Failure seal.unreachable, seal.refused from each `getToken`
 */
export async function azureCredential(
  ask: Ask,
  authority: string,
  identity: AzureIdentity,
): Promise<AzureCredential> {
  if (identity.kind === 'machine') return byMachine(ask, identity.client);
  const { ClientAssertionCredential, ClientSecretCredential } = await import('./azure-sdk.ts');
  // Without it the library asks a fixed address whether the authority is one; ours stands in the server's own file.
  // The library tells of an answer that it cannot read only that: whether Entra ID was well is seen here.
  let last = 0;
  const see: Parameters<typeof azureOptions>[1] = (_, answer) => {
    last = answer.status;
    return answer;
  };
  const options = { ...azureOptions(ask, see), authorityHost: authority, disableInstanceDiscovery: true };
  const { tenant, client } = identity;
  const credential =
    identity.kind === 'secret'
      ? new ClientSecretCredential(tenant, client, identity.secret, options)
      : new ClientAssertionCredential(tenant, client, () => tokenIn(identity.file), options);
  return {
    getToken: (scopes) =>
      // Of our own tenant, whatever the vault's challenge says.
      credential.getToken(scopes, { tenantId: tenant }).catch((error: unknown) => {
        throw told(error, last);
      }),
  };
}

function told(error: unknown, status: number): Error {
  const found = failureIn(error);
  if (found !== undefined)
    return found.code.startsWith('seal.')
      ? found
      : trouble(AZUREKEYVAULT, 'away', 'no connection to Entra ID', found);
  if (verdictOf(status) === 'away') return trouble(AZUREKEYVAULT, 'away', `Entra ID answers HTTP ${status}`);
  const text = error instanceof Error ? error.message : '';
  const code = /AADSTS\d{1,8}/.exec(text)?.[0];
  return trouble(
    AZUREKEYVAULT,
    'refused',
    `Entra ID gives no token${code === undefined ? '' : `: ${code}`}`,
    said(text),
  );
}

const machineToken = z.object({
  access_token: z.string().min(1),
  expires_on: z.union([z.string(), z.number()]).transform(Number),
});

/** The instance metadata service, which only this machine reaches. */
function byMachine(ask: Ask, client: string): AzureCredential {
  return {
    async getToken(scopes) {
      const resource = String(scopes).replace(/\/\.default$/, '');
      const query = new URLSearchParams({
        'api-version': '2018-02-01',
        resource,
        ...(client === '' ? {} : { client_id: client }),
      });
      const { status, body } = await ask({
        url: `${AZURE_METADATA}/metadata/identity/oauth2/token?${query}`,
        method: 'GET',
        headers: { metadata: 'true' },
        timeoutMs: TIMEOUT_MS,
        signal: new AbortController().signal,
      }).catch((error: unknown) => {
        throw trouble(AZUREKEYVAULT, 'away', 'no connection to what gives this machine its identity', error);
      });
      if (status !== 200)
        throw trouble(
          AZUREKEYVAULT,
          verdictOf(status),
          `what gives this machine its identity answers HTTP ${status}`,
        );
      const { success, data } = machineToken.safeParse(jsonIn(body));
      if (!success)
        throw trouble(AZUREKEYVAULT, 'refused', 'what gives this machine its identity gave no token');
      return { token: data.access_token, expiresOnTimestamp: data.expires_on * 1000 };
    },
  };
}

/** Read again each time: the kubelet renews it. */
async function tokenIn(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  if (text.trim() === '')
    throw trouble(AZUREKEYVAULT, 'refused', 'the file with its token is missing or empty');
  return text.trim();
}

/** The JSON of an answer; undefined where it is none. */
export function jsonIn(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes) ?? '');
  } catch {
    return undefined;
  }
}
