/**
 * How challenges of ACME are looked at beyond HTTP: in the DNS, and by a TLS handshake. Every address that is connected to is
 * judged by the same list as every other way out of the server, and nothing is trusted of what answers.
 */

import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { failure } from '../base/errors.ts';
import { type NetworkTrouble, networkTrouble } from '../base/network.ts';
import type { Handshake, Probes, Shaken } from '../engines/pki/acme/probes.ts';
import { type DialOptions, isMetadata } from '../server/http/dial.ts';

const DNS_PORT = 53;
const DNS_TIMEOUT_MS = 5000;
const DNS_TRIES = 2;
const TLS_TIMEOUT_MS = 10_000;
/** The server was asked and there is nothing of that name or type. */
const NOTHING_THERE = new Set(['ENODATA', 'ENOTFOUND']);

/** @returns what looks at challenges, by the list of the server's own file */
export function probes({ target, allow }: DialOptions): Probes {
  /** @param server "address:port"; empty: those of the system, which are the operator's own choice */
  const resolverAt = (server: string): Resolver => {
    const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
    if (server === '') return resolver;
    const end = server.lastIndexOf(':');
    const ip = server.slice(0, end).replace(/^\[|\]$/g, '');
    const port = Number(server.slice(end + 1));
    if (isMetadata(ip) || !allow({ host: ip, port, ip })) throw failure('dial.refused', { host: ip, port });
    resolver.setServers([server]);
    return resolver;
  };

  const addresses = async (host: string, server: string): Promise<readonly string[]> => {
    if (isIP(host) !== 0) return [host];
    if (server === '') {
      const found = await lookup(host, { all: true }).catch(() => {
        throw failure('dial.unreachable', { host, port: DNS_PORT, reason: 'there is no such host' });
      });
      return found.map(({ address }) => address);
    }
    const resolver = resolverAt(server);
    const found = await Promise.all([
      records(host, () => resolver.resolve4(host)),
      records(host, () => resolver.resolve6(host)),
    ]);
    const all = found.flat();
    if (all.length === 0)
      throw failure('dial.unreachable', { host, port: DNS_PORT, reason: 'there is no such host' });
    return all;
  };

  return {
    addresses,
    async texts(name, server) {
      const resolver = resolverAt(server);
      return (await records(name, () => resolver.resolveTxt(name))).map((parts) => parts.join(''));
    },
    async handshake(asked) {
      const { host, port } = asked;
      const found = target(host, port);
      const ip = (await addresses(found.host, asked.resolver)).find(
        (address) => !isMetadata(address) && allow({ host, port, ip: address }),
      );
      if (ip === undefined) throw failure('dial.refused', { host, port });
      return shake(ip, found.port, asked);
    },
  };
}

/** The records of a name; none where the name is not there. @throws Failure dial.unreachable */
async function records<T>(host: string, ask: () => Promise<T[]>): Promise<T[]> {
  try {
    return await ask();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (NOTHING_THERE.has(code)) return [];
    throw failure('dial.unreachable', { host, port: DNS_PORT, reason: `DNS: ${reasonOf(code)}` });
  }
}

/** Codes are c-ares' own words, in capitals; anything else might quote what was asked. */
const reasonOf = (code: string): string => (/^E[A-Z]+$/.test(code) ? code : 'the name server failed');

function shake(ip: string, port: number, { host, servername, protocol }: Handshake): Promise<Shaken> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: ip,
      port,
      servername,
      ALPNProtocols: [protocol],
      // The certificate is self-signed by design (RFC 8737); who asked judges it.
      rejectUnauthorized: false,
    });
    const fail = (reason: string): void => {
      socket.destroy();
      reject(failure('dial.unreachable', { host, port, reason }));
    };
    const timer = setTimeout(() => fail('no answer in time'), TLS_TIMEOUT_MS);
    socket.once('secureConnect', () => {
      const certificate: Uint8Array | undefined = socket.getPeerCertificate().raw;
      resolve({ protocol: socket.alpnProtocol || '', certificate: certificate ?? new Uint8Array() });
      socket.destroy();
    });
    socket.once('error', (error) => {
      const trouble: NetworkTrouble = networkTrouble(error);
      fail(trouble.reason);
    });
    socket.once('close', () => {
      clearTimeout(timer);
      fail('the connection was cut');
    });
  });
}
