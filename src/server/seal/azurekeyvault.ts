/**
 * An RSA key in Azure Key Vault or a Managed HSM, by RSA-OAEP-256. Whoever has the public half can wrap, so that a blob proves
 * nothing of who made it: that the root key is ours is proven by what it opens.
 */

import { failureIn } from '../../azure/transport.ts';
import { type Ask, said, trouble, verdictOf } from './ask.ts';
import { azureOptions } from './azure-client.ts';
import { AZUREKEYVAULT, type AzureIdentity, azureCredential } from './azure-identity.ts';
import { type KeyService, lazily, otherKey } from './keyservice.ts';

export interface AzureKeyVaultOptions {
  readonly ask: Ask;
  /** URL of the vault, without a slash at the end. */
  readonly vault: string;
  readonly keyName: string;
  /** URL of Entra ID. */
  readonly authority: string;
  readonly identity: AzureIdentity;
}

const ALGORITHM = 'RSA-OAEP-256';
type See = NonNullable<Parameters<typeof azureOptions>[1]>;

export function azureKeyVault({
  ask,
  vault,
  keyName,
  authority,
  identity,
}: AzureKeyVaultOptions): KeyService {
  const credential = lazily(() => azureCredential(ask, authority, identity));
  const named = `${vault}/keys/${keyName}`;
  /** The client, for one version of the key (empty: the newest), and the key that its answer named: it tells only what it was given. */
  const clientOf = async (version: string) => {
    const { CryptographyClient } = await import('./azure-sdk.ts');
    const id = version === '' ? named : `${named}/${version}`;
    let answered: unknown;
    let last = 0;
    const see: See = (request, answer) => {
      last = answer.status;
      if (request.method === 'POST' && answer.status === 200) answered = kidIn(answer.bodyAsText);
      return withoutKey(request, answer);
    };
    const client = new CryptographyClient(id, await credential(), azureOptions(ask, see));
    return { client, answered: () => answered, last: () => last };
  };
  return {
    type: AZUREKEYVAULT,
    async wrap(plain, abortSignal) {
      const { client, answered, last } = await clientOf('');
      const { result } = await asked(client.wrapKey(ALGORITHM, plain, { abortSignal }), last, false);
      const version = versionIn(answered(), named);
      if (version === undefined) throw trouble(AZUREKEYVAULT, 'refused', 'it answered for another key');
      if (!(result?.length > 0)) throw garbage();
      return { key: named, version, data: result };
    },
    async unwrap({ key, version, data }, abortSignal) {
      // By its name: a vault that was restored elsewhere has another address, and the same keys and versions.
      if (nameOf(key) !== keyName || !/^[0-9a-zA-Z]{1,64}$/.test(version))
        throw otherKey(AZUREKEYVAULT, key, named);
      const { client, answered, last } = await clientOf(version);
      const { result } = await asked(client.unwrapKey(ALGORITHM, data, { abortSignal }), last, true);
      if (versionIn(answered(), named) !== version)
        throw trouble(AZUREKEYVAULT, 'refused', 'it answered for another key');
      if (!(result?.length > 0)) throw garbage();
      return result;
    },
  };
}

const garbage = () => trouble(AZUREKEYVAULT, 'refused', 'its answer was not one of Key Vault');

const nameOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

/** The version that the answer names, if it is one of the key that was asked. */
function versionIn(keyId: unknown, named: string): string | undefined {
  if (typeof keyId !== 'string') throw garbage();
  const [name, version] = keyId.split('/').slice(-2);
  return name === nameOf(named) && version !== undefined && /^[0-9a-zA-Z]{1,64}$/.test(version)
    ? version
    : undefined;
}

/**
 * The client looks at the key before it asks, and would itself refuse one that has expired, with which Key Vault still unwraps:
 * a store would be locked by a date. So it is told that it may not look; the look also gets it its token.
 */
const withoutKey: See = (request, answer) =>
  request.method === 'GET' && answer.status === 200 ? { ...answer, status: 403, bodyAsText: '{}' } : answer;

/** Not to be used (any more), and not there. Source: the error codes of Key Vault's REST API. */
const LOST =
  /^(KeyNotFound|KeyDisabled|KeyNotYetValid|KeyExpired|ObjectIsDeletedButRecoverable|BadParameter|NotFound)$/;

/** @param last the status of the last answer: of one that it cannot read the client tells nothing else */
async function asked<T>(request: Promise<T>, last: () => number, isUnwrap: boolean): Promise<T> {
  try {
    return await request;
  } catch (error) {
    const found = failureIn(error);
    if (found?.code.startsWith('seal.')) throw found;
    if (found !== undefined) throw trouble(AZUREKEYVAULT, 'away', 'no connection to it', found);
    const {
      statusCode,
      code,
      message,
      details: told,
    } = error as {
      statusCode?: unknown;
      code?: unknown;
      message?: unknown;
      details?: unknown;
    };
    const status = typeof statusCode === 'number' ? statusCode : last();
    if (status < 300) throw garbage();
    const name = innermost(told) ?? (typeof code === 'string' ? code : '');
    const shown = /^[A-Za-z]{1,64}$/.test(name) ? ` ${name}` : '';
    const verdict = isUnwrap && (status === 404 || LOST.test(name)) ? 'lost' : verdictOf(status);
    const details = isUnwrap && typeof message === 'string' ? said(message) : undefined;
    throw trouble(AZUREKEYVAULT, verdict, `HTTP ${status}${shown}`, details);
  }
}

/** The key that an answer names. */
function kidIn(body: unknown): unknown {
  try {
    return (JSON.parse(String(body)) as { kid?: unknown } | null)?.kid;
  } catch {
    return undefined;
  }
}

/** Key Vault says "Forbidden" of many things, and of which one inside. */
function innermost(details: unknown): string | undefined {
  const { error } = (details ?? {}) as {
    error?: { code?: unknown; innerError?: { code?: unknown } | null } | null;
  };
  const code = error?.innerError?.code ?? error?.code;
  return typeof code === 'string' ? code : undefined;
}
