/** `issue/`, `sign/` and `sign-verbatim/`: certificates for those who ask, under the rules of a role. */

import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { flag } from '../../../base/schema.ts';
import { isSelfIssued, readCertificate, readPem, readRequest } from '../../../crypto/x509/certificate.ts';
import { keyKind, makeKey, spkiOf } from '../../../crypto/x509/keytype.ts';
import {
  type Call,
  type Mount,
  type Operation,
  operation,
  type Reply,
  type Route,
} from '../../../plugin/plugin.ts';
import {
  certificateAnswer,
  csrOf,
  formatFields,
  nameFields,
  signingFields,
  wantedOf,
  written,
} from '../asking.ts';
import { chainOf, findIssuer } from '../issuers.ts';
import { checkKey, leafOf, verbatimExtensions } from '../issuing.ts';
import { ANYTHING, type Role } from '../role.ts';
import { type Body, draft, leafBody } from '../signing.ts';
import type { PkiStore } from '../store.ts';
import { filledFor } from '../templates.ts';

type Answer = z.input<typeof certificateAnswer>;

const common = {
  issuer: z.string().optional(),
  ...nameFields,
  ...formatFields,
  remove_roots_from_chain: flag().default(false),
};
const issueInput = z.object({ role: z.string(), ...common });
const signInput = z.object({ role: z.string(), csr: z.string(), ...common });
const verbatimInput = z.object({
  role: z.string().default(''),
  csr: z.string(),
  ...common,
  ...signingFields,
  key_usage: z.union([z.array(z.string()), z.string().transform((text) => text.split(','))]).optional(),
  ext_key_usage: z.union([z.array(z.string()), z.string().transform((text) => text.split(','))]).optional(),
});
type Common = z.output<z.ZodObject<typeof common>>;

interface Making {
  readonly role: Role;
  readonly body: Body;
  /** The private half, where it was made here. */
  readonly key?: KeyObject;
}

export function issueRoutes(mount: Mount, store: PkiStore): Route[] {
  const roleNamed = async (name: string): Promise<Role> => {
    const role = await store.get('role', name);
    if (role === undefined) throw failure('pki.unknown_role', { name: name.replace(/[^\w.-]/g, '?') });
    return role;
  };

  /** Signs and stores. A lease, where the role wants one, is written before the certificate is made. */
  const give = async (call: Call, given: Common, { role, body, key }: Making): Promise<Reply<Answer>> => {
    const found = await findIssuer(store, given.issuer ?? role.issuer_ref);
    const made = await draft(mount, store, found, role, body, wantedOf(given));
    const chain = shortened(await chainOf(store, found), given.remove_roots_from_chain);
    const ttlMs = made.notAfter - mount.clock.now();
    const lease = role.generate_lease
      ? await call.reserve('certificate', { serial: made.number }, { ttlMs, renewable: false })
      : undefined;
    const der = made.sign();
    if (!role.no_store) await store.keepCertificate(made.number, der);
    return {
      data: written({ ...made, der, issuing: made.parent.der, chain, key }, given),
      warnings: made.warnings,
      ...(lease === undefined ? {} : { lease }),
    };
  };

  const giving = <I extends z.ZodType<Common>>(
    summary: string,
    input: I,
    make: (given: z.output<I>, call: Call) => Promise<Making>,
  ) =>
    operation({
      summary,
      input,
      output: certificateAnswer,
      effect: 'write',
      run: async (given, call): Promise<Reply<Answer>> => give(call, given, await make(given, call)),
    });

  const issue = giving(
    'Make a key and a certificate for it. The key is told once and kept nowhere.',
    issueInput,
    async (given, call) => {
      const role = await filledFor(await roleNamed(given.role), call);
      if (role.key_type === 'any')
        throw failure('pki.request', {
          reason: 'role key type "any" not allowed for issuing certificates, only signing',
        });
      const wanted = wantedOf(given);
      // Refused before a key is made: keys are dear.
      leafOf(role, wanted);
      const key = await makeKey(keyKind(role.key_type, role.key_bits));
      return { role, body: leafBody(role, wanted, spkiOf(key)), key };
    },
  );

  const sign = giving(
    'Sign a request, as far as the role allows what it asks for.',
    signInput,
    async (given, call) => {
      const role = await filledFor(await roleNamed(given.role), call);
      const request = readRequest(csrOf(given.csr));
      checkKey(role, request);
      return { role, body: leafBody(role, wantedOf(given), request.spki, request) };
    },
  );

  const verbatim = giving(
    'Sign a request as it stands, whatever names it asks for; a role gives times and issuer alone.',
    verbatimInput,
    async (given) => {
      const own = given.role === '' ? undefined : await roleNamed(given.role);
      const role: Role = {
        ...ANYTHING,
        ...(own === undefined
          ? {}
          : {
              issuer_ref: own.issuer_ref,
              ttl: own.ttl,
              max_ttl: own.max_ttl,
              not_before_duration: own.not_before_duration,
              generate_lease: own.generate_lease,
              no_store: own.no_store,
            }),
        ...(given.key_usage === undefined ? {} : { key_usage: given.key_usage }),
        ...(given.ext_key_usage === undefined ? {} : { ext_key_usage: given.ext_key_usage }),
        signature_bits: given.signature_bits,
        use_pss: given.use_pss,
      };
      const request = readRequest(csrOf(given.csr));
      checkKey(role, request);
      const { list: extensions, names } = verbatimExtensions(role, request);
      return { role, body: { subject: request.rawSubject, spki: request.spki, extensions, names } };
    },
  );

  const write = (path: string, made: Operation): Route => ({ path, operations: { write: made } });
  return ['', 'issuer/:issuer/'].flatMap((below) => [
    write(`${below}issue/:role`, issue),
    write(`${below}sign/:role`, sign),
    write(`${below}sign-verbatim`, verbatim),
    write(`${below}sign-verbatim/:role`, verbatim),
  ]);
}

/** A chain without what signed itself: those who trust a root have it, and those who do not must not take it from here. */
function shortened(chain: readonly string[], remove: boolean): readonly string[] {
  if (!remove) return chain;
  return chain.filter((pem) => {
    const [block] = readPem(pem) ?? [];
    return block === undefined || !isSelfIssued(readCertificate(block.der));
  });
}
