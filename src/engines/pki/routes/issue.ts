/** `issue/`, `sign/` and `sign-verbatim/`: certificates for those who ask, under the rules of a role. */

import { z } from 'zod';
import { failure } from '../../../base/errors.ts';
import { flag } from '../../../base/schema.ts';
import { type Call, type Mount, operation, type Reply, type Route } from '../../../plugin/plugin.ts';
import {
  certificateAnswer,
  csrOf,
  formatFields,
  nameFields,
  signingFields,
  wantedOf,
  written,
} from '../asking.ts';
import {
  type CertificateRequest,
  isSelfIssued,
  readCertificate,
  readPem,
  readRequest,
  serialText,
  signCertificate,
} from '../certificate.ts';
import { chainOf, findIssuer, signerFor, urlsOf } from '../issuers.ts';
import {
  checkConstraints,
  checkKey,
  commonExtensions,
  type Leaf,
  leafExtensions,
  leafOf,
  timesOf,
  verbatimExtensions,
  type Wanted,
} from '../issuing.ts';
import { keyKind, makeKey, spkiOf } from '../keytype.ts';
import { encodeName } from '../name.ts';
import { ANYTHING, type Role } from '../role.ts';
import type { PkiStore } from '../store.ts';

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

/** What is signed: a subject and extensions for a key. */
interface Body {
  readonly subject: Buffer;
  readonly spki: Buffer;
  readonly extensions: readonly Buffer[];
  readonly leaf: Pick<Leaf, 'names'>;
}

export function issueRoutes(mount: Mount, store: PkiStore): Route[] {
  const roleNamed = async (name: string): Promise<Role> => {
    const role = await store.get('role', name);
    if (role === undefined) throw failure('pki.unknown_role', { name: name.replace(/[^\w.-]/g, '?') });
    return role;
  };

  const leafBody = (role: Role, wanted: Wanted, spki: Buffer, request?: CertificateRequest): Body => {
    const leaf = leafOf(role, wanted, request);
    return { subject: encodeName(leaf.subject), spki, extensions: leafExtensions(role, leaf), leaf };
  };

  /** Signs and stores. A lease, where the role wants one, is written before the certificate is made. */
  const give = async (
    call: Call,
    role: Role,
    given: Common,
    body: Body,
    key?: Awaited<ReturnType<typeof makeKey>>,
  ): Promise<Reply<Answer>> => {
    const found = await findIssuer(store, given.issuer ?? role.issuer_ref);
    const parent = found.certificate;
    const signer = await signerFor(store, found, 'issuing-certificates', role.signature_bits, role.use_pss);
    const now = mount.clock.now();
    const { warnings, ...times } = timesOf(wantedOf(given), role, mount.ttl(), now, {
      certificate: parent,
      behavior: found.issuer.leafBehavior,
    });
    checkConstraints(parent, body.leaf.names);
    const serial = store.newSerial();
    const number = serialText(serial);
    const extensions = [
      ...commonExtensions(body.spki, parent, await urlsOf(store, found)),
      ...body.extensions,
    ];
    const chain = shortened(await chainOf(store, found), given.remove_roots_from_chain);
    const lease = role.generate_lease
      ? await call.reserve(
          'certificate',
          { serial: number },
          { ttlMs: times.notAfter - now, renewable: false },
        )
      : undefined;
    const { subject, spki } = body;
    const der = signCertificate(
      { serial, issuer: parent.subject, subject, spki, ...times, extensions },
      signer,
    );
    if (!role.no_store) await store.keepCertificate(number, der);
    return {
      data: written({ der, serial, ...times, issuing: parent.der, chain, key }, given),
      warnings,
      ...(lease === undefined ? {} : { lease }),
    };
  };

  const issue = operation({
    summary: 'Make a key and a certificate for it. The key is told once and kept nowhere.',
    input: issueInput,
    output: certificateAnswer,
    effect: 'write',
    async run(given, call): Promise<Reply<Answer>> {
      const role = await roleNamed(given.role);
      if (role.key_type === 'any')
        throw failure('pki.request', {
          reason: 'role key type "any" not allowed for issuing certificates, only signing',
        });
      const wanted = wantedOf(given);
      // Refused before a key is made: keys are dear.
      leafOf(role, wanted);
      const key = await makeKey(keyKind(role.key_type, role.key_bits));
      return give(call, role, given, leafBody(role, wanted, spkiOf(key)), key);
    },
  });

  const sign = operation({
    summary: 'Sign a request, as far as the role allows what it asks for.',
    input: signInput,
    output: certificateAnswer,
    effect: 'write',
    async run(given, call): Promise<Reply<Answer>> {
      const role = await roleNamed(given.role);
      const request = readRequest(csrOf(given.csr));
      checkKey(role, request);
      return give(call, role, given, leafBody(role, wantedOf(given), request.spki, request));
    },
  });

  const verbatim = operation({
    summary: 'Sign a request as it stands, whatever names it asks for; a role gives times and issuer alone.',
    input: verbatimInput,
    output: certificateAnswer,
    effect: 'write',
    async run(given, call): Promise<Reply<Answer>> {
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
      const { list, names } = verbatimExtensions(role, request);
      return give(call, role, given, {
        subject: request.rawSubject,
        spki: request.spki,
        extensions: list,
        leaf: { names },
      });
    },
  });

  const write = (path: string, made: typeof issue): Route => ({ path, operations: { write: made } });
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
