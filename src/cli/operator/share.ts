/** Key shares as they come to the command line: as an argument, from standard input, or typed without echo. */

import { failure } from '../../base/errors.ts';
import type { Session } from '../session.ts';

/**
 * A share for a server that takes shares in any order: as typed, or from "-", or asked for with the prompt.
 * @throws Failure cli.no_terminal
 */
export async function shareOf(
  { terminal }: Session,
  typed: string | undefined,
  prompt: string,
): Promise<string> {
  const given = typed?.trim() ?? '';
  const text = given === '-' ? await terminal.stdin() : given === '' ? await terminal.secret(prompt) : given;
  return text.trim();
}

export interface NoncedShare {
  readonly key: string;
  readonly nonce: string;
}

/**
 * A share for a ceremony. Whoever types it is shown the nonce; a share that comes from elsewhere must name the nonce that
 * its holder was told, so that it cannot be lured into a ceremony that somebody else began.
 * @throws Failure cli.usage, cli.no_terminal
 */
export async function noncedShareOf(
  session: Session,
  given: { readonly key: string | undefined; readonly nonce: string | undefined },
  asked: { readonly nonce: string; readonly what: string; readonly prompt: string },
): Promise<NoncedShare> {
  const typed = given.key?.trim() ?? '';
  if (typed === '') {
    session.terminal.err(`${asked.what}: ${asked.nonce}\n`);
    return { key: (await session.terminal.secret(asked.prompt)).trim(), nonce: asked.nonce };
  }
  const nonce = given.nonce ?? '';
  if (nonce === '')
    throw failure('cli.usage', { reason: 'Missing nonce value: specify it via the -nonce flag' });
  return { key: (typed === '-' ? await session.terminal.stdin() : typed).trim(), nonce };
}

/** The number that a flag gives. @throws Failure cli.usage */
export function countOf(text: string, flag: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw failure('cli.usage', { reason: `${flag} takes a number` });
}
