/**
 * Where a request goes. The store's author writes the address; who asks for a key, or a value that is pushed, must not
 * be able to turn it elsewhere: not to another host, and not up and out of the path.
 */

import { failure } from '../../base/errors.ts';

/** The scheme, host and port that a URL template names in plain text; undefined where a template action is part of it. */
export function fixedOrigin(template: string): string | undefined {
  const plain = /^https?:\/\/[^/?#\\@\s{}]+(?=[/?#]|$)/i.exec(template)?.[0];
  return plain !== undefined && URL.canParse(plain) ? new URL(plain).origin : undefined;
}

/**
 * A rendered URL, if it is one that may be asked.
 * @param origin what it has to begin with: the address that the template names by itself
 * @throws Failure provider.spec; never quotes the URL, which may hold a secret
 */
export function checkedUrl(rendered: string, origin: string, store: string): string {
  const refuse = (reason: string): Error => failure('provider.spec', { store, reason });
  if (!URL.canParse(rendered)) throw refuse('its url, rendered, is not a URL');
  const url = new URL(rendered);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw refuse('its url is neither http nor https');
  if (url.username !== '' || url.password !== '')
    throw refuse('its url holds a user or password; send them in the header Authorization');
  if (url.origin !== origin) throw refuse('its url, rendered, leads to another host than the template names');
  // URL has taken these out already, so that only the text that was rendered still shows them.
  const path = rendered.replace(/[?#].*$/s, '').replace(/^[a-z]+:[\\/]*[^\\/]*/i, '');
  const dots = path.split(/[\\/]/).map((part) => part.replace(/%2e/gi, '.').replace(/[\t\n\r]/g, ''));
  if (dots.some((part) => part === '.' || part === '..'))
    throw refuse('its url, rendered, has "." or ".." in its path');
  url.hash = '';
  return url.href;
}

/** A text as one part of a URL: nothing in it has a meaning there. A space is `%20`, which paths and queries both take. */
export const escaped = (text: string): string =>
  encodeURIComponent(Buffer.from(text).toString()).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
