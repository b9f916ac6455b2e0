/** Which addresses a browser may be sent back to. Pure. */

/** Hosts of the user's own machine; a program there listens where it finds a free port (RFC 8252 section 7.3). */
const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Whether `uri` is one of those that a role allows: letter by letter, or, on the user's own machine, but for the port.
 * Both spellings must be the canonical ones, so that nothing that is compared can read differently to a browser.
 */
export function isAllowedRedirect(uri: string, allowed: readonly string[]): boolean {
  const given = loopback(uri);
  if (given === undefined) return allowed.includes(uri);
  return allowed.some((one) => loopback(one) === given);
}

/** The address without its port, where it is of this machine; undefined for any other. */
function loopback(uri: string): string | undefined {
  if (!URL.canParse(uri)) return undefined;
  const url = new URL(uri);
  const web = url.protocol === 'http:' || url.protocol === 'https:';
  if (!web || !LOOPBACK.has(url.hostname) || url.username !== '' || url.password !== '' || url.hash !== '')
    return undefined;
  if (url.href !== uri && url.href !== `${uri}/` && !isDefaultPort(url, uri)) return undefined;
  url.port = '';
  return url.href;
}

/** A port that the scheme has anyway is dropped by the parser: "http://localhost:80/x". */
const isDefaultPort = (url: URL, uri: string): boolean =>
  uri === url.href.replace(url.host, `${url.host}:${url.protocol === 'http:' ? 80 : 443}`);
