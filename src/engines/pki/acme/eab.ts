/** External account bindings (RFC 8555 section 7.3.4): keys that an operator hands out, each good for one account of one directory. */

import { base64url } from '../../../base/bytes.ts';
import type { Mount } from '../../../plugin/plugin.ts';
import type { Check } from '../../../storage/storage.ts';
import type { PkiStore } from '../store.ts';
import { MAC_ALGORITHMS, readEnvelope, readHeader, readKey, type SignerKey, verified } from './jws.ts';
import type { Directory } from './policy.ts';
import { AcmeError } from './problem.ts';
import type { Eab } from './records.ts';

/** Keys that the API gives begin so: one can tell what was pasted where. A multiple of three bytes in base64url. */
const PREFIX = 'vault-eab-0-';
const BYTES = 32;
const ID = /^[0-9a-f-]{36}$/;

const malformed = (detail: string): AcmeError => new AcmeError('malformed', detail);
const unauthorized = (detail: string): AcmeError => new AcmeError('unauthorized', detail);

/** Makes a binding. @param directory its path below the mount */
export async function newEab(mount: Mount, store: PkiStore, directory: string): Promise<Eab> {
  const eab: Eab = {
    id: store.newId(),
    key: PREFIX + base64url(mount.random(BYTES)),
    directory,
    created: store.now(),
  };
  await store.put('acme/eab', eab.id, eab);
  return eab;
}

/**
 * The binding that a request for an account carries, with what must hold when it is used up.
 * @param given `externalAccountBinding` as it was sent
 * @throws AcmeError where it is not one of ours for this key and directory
 */
export async function bindingOf(
  store: PkiStore,
  directory: Directory,
  key: SignerKey,
  given: unknown,
): Promise<{ readonly eab: Eab; readonly check: Check }> {
  const envelope = readEnvelope(given);
  const header = readHeader(envelope, MAC_ALGORITHMS);
  if (header.kid === undefined) throw malformed("eab: missing required field 'kid'");
  if (header.nonce !== undefined) throw malformed("nonce should not be provided in eab 'protected'");
  if (header.url !== `${directory.url}new-account`)
    throw unauthorized("invalid value for 'url' in eab 'protected'");
  // One answer for an unknown id, another directory and a wrong key: a stranger is not told which ids there are.
  const failed = unauthorized('failed to verify eab');
  const found = ID.test(header.kid) ? await store.entry('acme/eab', header.kid) : undefined;
  if (found === undefined || found.value.directory !== directory.path) throw failed;
  const secret = Buffer.from(found.value.key, 'base64url');
  const payload = await verified(envelope, header, secret).catch(() => {
    throw failed;
  });
  if (payload === undefined || (await readKey(payload)).thumbprint !== key.thumbprint)
    throw malformed('eab payload does not match outer JWK key');
  return { eab: found.value, check: found.check };
}
