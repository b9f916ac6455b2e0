/** `config/ca` and `public_key`: the key pair that signs. Its private half is told to nobody. */

import { z } from 'zod';
import { base64, utf8 } from '../../../base/bytes.ts';
import { failure } from '../../../base/errors.ts';
import { flag, integer } from '../../../base/schema.ts';
import { makeKey, parsePrivatePem } from '../../../crypto/ssh/privatekey.ts';
import { parsePublicBlob, parsePublicLine, publicKeyOf, publicLine } from '../../../crypto/ssh/publickey.ts';
import { operation, type Route } from '../../../plugin/plugin.ts';
import { kindOf } from '../allowed.ts';
import { nothing, refused, text } from '../fields.ts';
import type { KeyPair, SshStore } from '../store.ts';

const input = z.object({
  generate_signing_key: flag().nullish(),
  private_key: text().nullish(),
  public_key: text().nullish(),
  key_type: text().nullish(),
  key_bits: integer().nullish(),
});
type Given = z.output<typeof input>;

const output = z.object({ public_key: z.string() });

export function caRoutes(store: SshStore): Route[] {
  return [
    {
      path: 'config/ca',
      operations: {
        read: operation({
          summary: 'Read the public key of the authority.',
          input: nothing,
          output,
          effect: 'none',
          async run() {
            return { data: { public_key: lineOf(await store.keyPair()) } };
          },
        }),
        write: operation({
          summary: 'Generate the key pair of the authority, or bring it along; never over another one.',
          input,
          output,
          effect: 'write',
          async run(given) {
            const generate = isToGenerate(given);
            // Asked before seconds are spent on a key; `addKeyPair` decides.
            if (await store.hasKeyPair()) throw failure('ssh.has_ca');
            const pair = generate ? await generated(given) : imported(given);
            await store.addKeyPair(pair);
            return { data: { public_key: lineOf(pair) } };
          },
        }),
        delete: operation({
          summary: 'Delete the key pair of the authority; what it signed stays good until it ends.',
          input: nothing,
          output: nothing,
          effect: 'write',
          async run() {
            await store.deleteKeyPair();
            return {};
          },
        }),
      },
    },
    {
      path: 'public_key',
      access: 'public',
      operations: {
        read: operation({
          summary: 'Read the public key of the authority as a line for TrustedUserCAKeys or known_hosts.',
          input: nothing,
          output: nothing,
          effect: 'none',
          async run() {
            const body = utf8(lineOf(await store.keyPair()));
            return { raw: { status: 200, headers: { 'content-type': 'text/plain' }, body } };
          },
        }),
      },
    },
  ];
}

/** What was left out decides as upstream has it. @throws Failure ssh.request */
function isToGenerate({ generate_signing_key: asked, public_key, private_key }: Given): boolean {
  const has = { public: (public_key ?? '') !== '', private: (private_key ?? '') !== '' };
  if (asked === true) {
    if (has.public || has.private)
      throw refused('public_key and private_key must not be set when generate_signing_key is set to true');
    return true;
  }
  if (has.public && has.private) return false;
  if (has.public || has.private)
    throw refused(
      'only one of public_key and private_key set; both must be set to use, or both must be blank to auto-generate',
    );
  if (asked === false) throw refused('missing public_key');
  return true;
}

async function generated({ key_type, key_bits }: Given): Promise<KeyPair> {
  const key = await makeKey(kindOf(key_type || 'ssh-rsa', key_bits ?? 0));
  return pairOf(key) ?? unusable();
}

/** @throws Failure ssh.request; nothing of either key is in the message */
function imported({ public_key, private_key }: Given): KeyPair {
  const told = parsePublicLine(public_key ?? '');
  if (told === undefined) throw refused('could not parse public_key provided value: it is no SSH public key');
  const key = parsePrivatePem(private_key ?? '');
  if (key === undefined)
    throw refused(
      'could not parse private_key provided value: it is no RSA, ECDSA or Ed25519 key in PEM without passphrase',
    );
  const pair = pairOf(key) ?? unusable();
  if (pair.publicKey !== base64(told.blob)) throw refused('public_key is not the public half of private_key');
  return pair;
}

function pairOf(key: Parameters<typeof publicKeyOf>[0]): KeyPair | undefined {
  const publicKey = publicKeyOf(key);
  const privateKey = base64(key.export({ format: 'der', type: 'pkcs8' }));
  return publicKey && { privateKey, publicKey: base64(publicKey.blob) };
}

function unusable(): never {
  throw refused('the key is of a kind that signs nothing for SSH');
}

function lineOf({ publicKey }: KeyPair): string {
  const key = parsePublicBlob(Buffer.from(publicKey, 'base64'));
  if (key === undefined) throw failure('storage.corrupt', { key: 'ca' });
  return publicLine(key.type, key.blob);
}
