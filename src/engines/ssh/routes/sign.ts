/** `sign/` and `issue/`: certificates for keys that callers bring along, and for keys that are made for them. */

import { z } from 'zod';
import { duration, integer } from '../../../base/schema.ts';
import { makeKey, privatePem } from '../../../crypto/ssh/privatekey.ts';
import { parsePublicLine, publicKeyOf, type SshPublicKey } from '../../../crypto/ssh/publickey.ts';
import { type Call, type Mount, operation, type Route } from '../../../plugin/plugin.ts';
import { checkIssued, checkKey, kindOf } from '../allowed.ts';
import { checkedName, options, refused, text } from '../fields.ts';
import type { CaRole, Role } from '../role.ts';
import { authorityOf, certify } from '../signing.ts';
import type { SshStore } from '../store.ts';

const wish = z.object({
  role: z.string(),
  ttl: duration().nullish(),
  valid_principals: text().nullish(),
  cert_type: text().nullish(),
  key_id: text().nullish(),
  critical_options: options().nullish(),
  extensions: options().nullish(),
});
type Wished = z.output<typeof wish>;

const signed = z.object({ serial_number: z.string(), signed_key: z.string() });

export function signRoutes(mount: Mount, store: SshStore): Route[] {
  const sign = async (role: CaRole, publicKey: SshPublicKey, given: Wished, call: Call) => {
    const asked = {
      type: given.cert_type ?? 'user',
      principals: given.valid_principals ?? undefined,
      keyId: given.key_id ?? '',
      ttlMs: given.ttl ?? undefined,
      criticalOptions: given.critical_options ?? {},
      extensions: given.extensions ?? {},
    };
    const facts = { displayName: call.caller?.displayName ?? '', roleName: given.role, publicKey };
    const fill = (call.caller?.entityId ?? '') === '' ? undefined : call.fill?.bind(call);
    return certify(mount, role, asked, facts, async () => authorityOf(await store.keyPair(), role), fill);
  };

  return [
    {
      path: 'sign/:role',
      operations: {
        write: operation({
          summary: 'Sign a public key.',
          input: wish.extend({ public_key: text().nullish() }),
          output: signed,
          effect: 'none',
          async run(given, call) {
            const found = await store.role(checkedName(given.role));
            if (found === undefined) throw refused(`Unknown role: ${given.role}`);
            const role = signing(found, given.cert_type ?? 'user');
            if ((given.public_key ?? '') === '') throw refused('missing public_key');
            const publicKey = parsePublicLine(given.public_key ?? '');
            if (publicKey === undefined)
              throw refused(
                'failed to parse public_key as SSH key: it is no RSA, ECDSA or Ed25519 key as id_ed25519.pub has it',
              );
            checkKey(role, publicKey);
            return sign(role, publicKey, given, call);
          },
        }),
      },
    },
    {
      path: 'issue/:role',
      operations: {
        write: operation({
          summary: 'Make a key pair and sign it; the private key is told once and kept nowhere.',
          input: wish.extend({ key_type: text().nullish(), key_bits: integer().nullish() }),
          output: signed.extend({ private_key: z.string(), private_key_type: z.string() }),
          effect: 'none',
          async run(given, call) {
            const role = await store.role(checkedName(given.role));
            if (role === undefined) throw refused(`unknown role: ${given.role}`);
            if (role.kind !== 'ca')
              throw refused(`role key type '${role.kind}' not allowed to issue key pairs`);
            const [type, bits] = [given.key_type || 'rsa', given.key_bits ?? 0];
            checkIssued(role, type, bits);
            const key = await makeKey(kindOf(type, bits));
            const publicKey = publicKeyOf(key);
            if (publicKey === undefined) throw refused('the key that was made is none of SSH');
            const { data, warnings } = await sign(role, publicKey, given, call);
            return { data: { ...data, private_key: privatePem(key), private_key_type: type }, warnings };
          },
        }),
      },
    },
  ];
}

/** A role for passwords allows no type of certificate. @throws Failure ssh.request */
function signing(role: Role, type: string): CaRole {
  if (role.kind === 'ca') return role;
  throw refused(
    type === 'user' || type === 'host'
      ? `cert_type '${type}' is not allowed by role`
      : "cert_type must be either 'user' or 'host'",
  );
}
