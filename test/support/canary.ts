/** A secret that is known when it is seen again, in any dress that programs put on texts. */

import { randomBytes } from 'node:crypto';

export interface Canary {
  /** The secret: letters that stay as they are in every encoding, amid some that no two encodings write alike. */
  readonly secret: string;
  /** The ways in which `text` gives the secret away; empty where it does not. */
  found(text: string): readonly string[];
}

export function makeCanary(): Canary {
  const core = `kAnarie${randomBytes(8).toString('hex')}Vogel`;
  const forms = formsOf(core);
  return {
    secret: `${core}/ü"&+<\\>%`,
    found(text) {
      const folded = text.toLowerCase();
      return forms
        .filter(({ form, exact }) => (exact ? text.includes(form) : folded.includes(form.toLowerCase())))
        .map(({ name }) => name);
    },
  };
}

interface Form {
  readonly name: string;
  readonly form: string;
  /** Letters of either case are two things in it. */
  readonly exact: boolean;
}

function formsOf(core: string): readonly Form[] {
  const each = (write: (letter: string) => string): string => [...core].map(write).join('');
  const code = (letter: string, base: number): string => letter.charCodeAt(0).toString(base);
  const once = base64Forms(Buffer.from(core));
  return [
    { name: 'plain', form: core, exact: false },
    // A message that is cut short must not hold the beginning either.
    { name: 'cut', form: core.slice(0, 16), exact: false },
    { name: 'reversed', form: [...core].reverse().join(''), exact: false },
    { name: 'hex', form: Buffer.from(core).toString('hex'), exact: false },
    { name: 'percent', form: each((letter) => `%${code(letter, 16)}`), exact: false },
    { name: 'JSON escapes', form: each((letter) => `\\u00${code(letter, 16)}`), exact: false },
    { name: 'bytes', form: [...Buffer.from(core)].join(','), exact: true },
    { name: 'UTF-16 in base64', form: inner(Buffer.from(core, 'utf16le').toString('base64')), exact: true },
    ...once.map((form, at) => ({ name: `base64 at ${at}`, form, exact: true })),
    ...once.flatMap((form, at) =>
      base64Forms(Buffer.from(form)).map((twice, by) => ({
        name: `base64 of base64 at ${at}.${by}`,
        form: twice,
        exact: true,
      })),
    ),
  ];
}

/** How base64 writes the bytes behind 0, 1 and 2 others: what depends on the neighbours is cut off. */
const base64Forms = (bytes: Buffer): readonly string[] =>
  [0, 1, 2].map((by) => inner(Buffer.concat([Buffer.alloc(by), bytes]).toString('base64')));

const inner = (text: string): string => text.replace(/=+$/, '').slice(4, -4);
