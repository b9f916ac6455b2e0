/** Policies from HCL files. Other things are written in HCL, too (Terraform, servers): only what holds path stanzas is one. */

import { basename } from 'node:path';
import { asFailure } from '../../base/errors.ts';
import { blocksOf, parseHcl } from '../../base/hcl.ts';
import { type Policy, parsePolicy } from '../../server/auth/policy.ts';
import type { Finding } from './finding.ts';

export interface KnownPolicy {
  readonly policy: Policy;
  readonly file: string;
}

/** Undefined: it is no policy. A policy that is refused is told, and has its name all the same: it grants nothing. */
export function policyOf(file: string, text: string): KnownPolicy | { readonly wrong: Finding } | undefined {
  if (!isPolicy(text)) return undefined;
  const name = nameOf(file);
  try {
    return { policy: parsePolicy(name, text), file };
  } catch (error) {
    const failure = asFailure(error);
    return {
      wrong: {
        class: 'error',
        file,
        line: lineOf(failure.message, text),
        failure,
        object: `policy ${name}`,
      },
    };
  }
}

/** A policy is named by its file: "eso-cicd.hcl". */
export const nameOf = (file: string): string => basename(file).replace(/\.(policy\.)?hcl$/, '');

function isPolicy(text: string): boolean {
  try {
    return parseHcl(text).some(({ keys: [type] }) => type === 'path');
  } catch {
    return /^\s*path\s+"/m.test(text);
  }
}

/** The line that a message names, else that of the stanza that it names. */
function lineOf(message: string, text: string): number {
  const said = /\bline (\d+)/.exec(message)?.[1] ?? /\bAt (\d+):\d+/i.exec(message)?.[1];
  if (said !== undefined) return Number(said);
  try {
    const named = parseHcl(text)
      .filter(({ keys }) => keys[0] === 'path')
      .flatMap(blocksOf)
      .find(({ label }) => message.includes(`path "${label}"`));
    return named?.line ?? 1;
  } catch {
    return 1;
  }
}
