/** Why a connection failed, told by the class of the socket's error. Its own text may hold names of files or hosts. */

/** `untrusted`: TLS found fault with who answered. `garbage`: what answered does not speak HTTP. */
export interface NetworkTrouble {
  readonly kind: 'unreachable' | 'untrusted' | 'garbage';
  /** Fit for a message: "connection refused". */
  readonly reason: string;
}

const UNREACHABLE = new Map(
  Object.entries({
    ECONNREFUSED: 'connection refused',
    ENOTFOUND: 'DNS: no such host',
    EAI_AGAIN: 'DNS: the name server does not answer',
    ETIMEDOUT: 'timeout',
    EHOSTUNREACH: 'no route to the host',
    ENETUNREACH: 'no route to the network',
    ECONNRESET: 'the connection was cut',
    EPIPE: 'the connection was cut',
    ERR_STREAM_PREMATURE_CLOSE: 'the connection was cut',
  }),
);

const UNTRUSTED = new Map(
  Object.entries({
    DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
    SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is signed by an unknown authority',
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is signed by an unknown authority',
    UNABLE_TO_GET_ISSUER_CERT: 'its certificate is signed by an unknown authority',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is signed by an unknown authority',
    CERT_SIGNATURE_FAILURE: 'its certificate is signed by another authority of the same name',
    CERT_HAS_EXPIRED: 'its certificate has expired',
    CERT_NOT_YET_VALID: 'its certificate is not valid yet',
    ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate does not carry this host name',
    EPROTO: 'the handshake failed (is it a plain HTTP port?)',
  }),
);

/** What went wrong, by the error that a socket or a request ended with. */
export function networkTrouble(error: unknown): NetworkTrouble {
  const code = codeOf(error);
  const tls =
    UNTRUSTED.get(code) ?? (/^(ERR_(TLS|SSL)|CERT_|UNABLE_TO_|SELF_SIGNED)/.test(code) ? code : undefined);
  if (tls !== undefined) return { kind: 'untrusted', reason: tls };
  if (code.startsWith('HPE_')) return { kind: 'garbage', reason: 'it does not speak HTTP' };
  const known = UNREACHABLE.get(code);
  const other = code === '' ? 'the connection failed' : `the connection failed (${code})`;
  return { kind: 'unreachable', reason: known ?? other };
}

/** Where several addresses of a host were tried, the first one's error stands for all. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}
