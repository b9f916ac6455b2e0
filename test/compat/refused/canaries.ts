/** The secrets that the world is stocked with, and how to see them again in any common dress. */

/** By name; each is what its field takes, and nothing else in the world reads like it. */
export const SECRETS: readonly (readonly [name: string, secret: string])[] = [
  ['kv', 'kv-canary-5Qm2Zr8Wt1Yx'],
  ['kv1', 'kvone-canary-7Hn3Bv9Kd4Lp'],
  ['cubbyhole', 'cubby-canary-2Jf6Gs8Vc3Xz'],
  ['database', 'dbpass-canary-9Tr4Ew7Qy1Ui'],
  ['databaseUrl', 'dburl-canary-3Op5As8Df2Gh'],
  ['mysql', 'mysql-canary-6Jk1Lz4Xc9Vb'],
  ['redis', 'redis-canary-8Nm2Qw5Er7Ty'],
  ['totp', 'MNQW4YLSPFWWK3TFMRXXG5DPORYA'],
  ['custom', 'custom-canary-4Ui6Op9As1Df'],
  ['customHeader', 'header-canary-2Gh5Jk8Lz3Xc'],
  ['userpass', 'userpass-canary-7Vb1Nm4Qw6Er'],
  ['oidc', 'oidc-canary-5Ty8Ui2Op3As'],
  ['approle', 'secretid-canary-1Df4Gh7Jk9Lz'],
];

export const secretOf = (name: string): string => {
  const found = SECRETS.find(([one]) => one === name);
  if (found === undefined) throw new Error(`no canary is named ${name}`);
  return found[1];
};

/** @returns the names of the secrets that a text holds: plain, in hex, percent-encoded, in base64 at any offset, or cut short */
export function CANARIES(
  secrets: readonly (readonly [name: string, secret: string])[],
): (text: string) => readonly string[] {
  const forms = secrets.map(([name, secret]) => [name, formsOf(secret)] as const);
  return (text) => forms.filter(([, all]) => all.some((form) => text.includes(form))).map(([name]) => name);
}

function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const inner = (by: number): string =>
    Buffer.concat([Buffer.alloc(by), bytes])
      .toString('base64')
      .replace(/=+$/, '')
      .slice(4, -4);
  return [
    secret,
    // What is cut short begins alike; the first letters of some secrets are words that may be said.
    secret.slice(0, Math.max(20, Math.floor((secret.length * 3) / 4))),
    bytes.toString('hex'),
    [...bytes].map((byte) => `%${byte.toString(16)}`).join(''),
    ...[0, 1, 2].map(inner).filter((form) => form.length >= 12),
  ];
}
