/** Addresses of other servers, as configurations name them. */

/**
 * The URL in its canonical form and without a trailing slash, or undefined where it is none: another scheme, or a user,
 * a query or a fragment, which would be carried into every request made from it.
 * @param schemes such as ['https:']
 */
export function baseAddress(text: string, schemes: readonly string[]): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !schemes.includes(url.protocol)) return undefined;
  if (url.username !== '' || url.password !== '' || /[?#@\\\s]/.test(text)) return undefined;
  return url.href.replace(/\/+$/, '');
}
