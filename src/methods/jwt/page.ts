/** The pages that a browser sees when a provider sends it back to this server. They load nothing and run nothing. */

import { utf8 } from '../../base/bytes.ts';
import type { RawReply } from '../../plugin/plugin.ts';

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;color:#1b1f24}' +
  'h1{font-size:1.3rem}button{font:inherit;padding:.4rem 1.2rem}';

/** A page of a heading and paragraphs, all of them plain text. `form` is HTML that its caller has escaped. */
function page(status: number, heading: string, paragraphs: readonly string[], form = ''): { raw: RawReply } {
  const text = paragraphs.map((paragraph) => `<p>${escaped(paragraph)}</p>`).join('');
  return {
    raw: {
      status,
      headers: HEADERS,
      body: utf8(
        `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(heading)}</title>` +
          `<style>${STYLE}</style></head><body><h1>${escaped(heading)}</h1>${text}${form}</body></html>\n`,
      ),
    },
  };
}

export const failedPage = (reason: string): { raw: RawReply } =>
  page(400, 'The login failed', [reason, 'Nobody was logged in. Close this window and begin again.']);

export const receivedPage = (): { raw: RawReply } =>
  page(200, 'The answer of the identity provider has arrived', [
    'Close this window and go back to where you began the login.',
  ]);

export const donePage = (): { raw: RawReply } =>
  page(200, 'You are logged in', ['Close this window and go back to where you began the login.']);

/**
 * Asks whether the person at the browser is who began the login: somebody else could have sent them its address, to get a
 * token in their name (RFC 8628 section 5.4).
 */
export const confirmPage = (given: {
  readonly requester: string;
  readonly role: string;
  /** What the provider sent, to be sent again. */
  readonly answer: Readonly<Record<string, string>>;
}): { raw: RawReply } =>
  page(
    200,
    'Is this your login?',
    [
      `A login for the role "${given.role}" was begun from ${given.requester}.`,
      'Go on only if you began it yourself, just now. If somebody sent you here, close this window.',
    ],
    `<form method="get">${Object.entries({ ...given.answer, confirmation: 'yes' })
      .map(([name, value]) => `<input type="hidden" name="${escaped(name)}" value="${escaped(value)}">`)
      .join('')}<button>It is mine: log in</button></form>`,
  );

const escaped = (text: string): string => text.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);
