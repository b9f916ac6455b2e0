/**
 * What an engine may not do by itself and is handed instead: asking the DNS, and a TLS connection. Whoever hands it in
 * judges every address by the list of the server's own file, as `mount.dial` does.
 */

export interface Probes {
  /**
   * The TXT records of a name, each joined to one text.
   * @param resolver "address:port"; empty: the system's @throws Failure dial.refused, dial.unreachable
   */
  texts(name: string, resolver: string): Promise<readonly string[]>;
  /** The addresses of a host. @throws Failure dial.refused, dial.unreachable */
  addresses(host: string, resolver: string): Promise<readonly string[]>;
  /**
   * Shakes hands and hangs up. Trusts nothing that it is shown: that is for the caller to judge.
   * @throws Failure dial.refused, dial.unreachable
   */
  handshake(request: Handshake): Promise<Shaken>;
}

export interface Handshake {
  readonly host: string;
  readonly port: number;
  readonly servername: string;
  /** The one protocol that is offered (ALPN). */
  readonly protocol: string;
  /** "address:port" of the name server; empty: the system's. */
  readonly resolver: string;
}
export interface Shaken {
  /** The protocol that was agreed on; empty: none. */
  readonly protocol: string;
  /** The certificate in DER. */
  readonly certificate: Uint8Array;
}
