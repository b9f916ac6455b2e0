/** Picks out of PEM: blocks of a type, the certificates of a chain, the names of a certificate. Nothing here says that a chain may be trusted. */

import { isFailure } from '../../base/errors.ts';
import { type Certificate, readCertificate } from '../../crypto/x509/certificate.ts';
import { inOrder, isRoot, NoChain } from '../../crypto/x509/chain.ts';
import { children, readOne } from '../../crypto/x509/der.ts';
import { EXT } from '../../crypto/x509/extensions.ts';
import { ipText } from '../../crypto/x509/name.ts';
import { type Block, blocksOf, nextBlock, pemText } from '../pem.ts';
import { strings } from '../value.ts';
import { CallError, fn, type Table } from './table.ts';

/** What `read` gives; bytes that are no DER become the function's own error. */
export function orMalformed<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isFailure(error) && error.code.startsWith('pki.')) throw new CallError(`${what} is malformed`);
    throw error;
  }
}

/** @throws CallError */
export const certificateOf = (der: Uint8Array): Certificate =>
  orMalformed('the certificate', () => readCertificate(der));
export const certificatePem = ({ der }: Pick<Certificate, 'der'>): string => pemText('CERTIFICATE', der);

/** Everything from the first block on: what stands before it, on its line, too, is passed over. */
const withoutLead = (text: string): string => text.slice(Math.max(0, text.indexOf('-----BEGIN')));

function filterPem(type: string, text: string): string {
  const input = withoutLead(text);
  const wanted = type.toLowerCase();
  const chosen: Block[] = [];
  let end = 0;
  for (let next = nextBlock(input); next !== undefined; next = nextBlock(input, next.end)) {
    end = next.end;
    if (next.block.type.toLowerCase() === wanted) chosen.push(next.block);
  }
  // Blocks of other types alone are nothing wrong; text that is no block is.
  if (chosen.length === 0 && end < input.length) throw new CallError('error filtering pem: found junk');
  return chosen.map((block) => pemText(block.type, block.bytes, block.headers)).join('');
}

/** @throws NoChain, CallError */
export const chainOf = (text: string): Certificate[] =>
  orMalformed('a certificate', () => inOrder(blocksOf(text).map(({ bytes }) => readCertificate(bytes))));

function filterChain(kind: string, text: string): string {
  const chain = chainOf(text);
  const end = chain[0];
  const top = chain.at(-1);
  switch (kind) {
    case 'leaf':
      return end === undefined || isRoot(end) ? '' : certificatePem(end);
    case 'intermediate': {
      const above = chain.slice(1);
      const root = above.findIndex(isRoot);
      return (root < 0 ? above : above.slice(0, root)).map(certificatePem).join('');
    }
    case 'root':
      return top !== undefined && isRoot(top) ? certificatePem(top) : '';
    default:
      return '';
  }
}

/** Tags of general names (RFC 5280 section 4.2.1.6) in the order in which they are told. */
const DNS = 0x82;
const IP = 0x87;
const TOLD = [DNS, IP, 0x81, 0x86];
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/** An address as Go writes it: IPv4 in IPv6 is IPv4. */
const addressText = (bytes: Buffer): string =>
  ipText(bytes.length === 16 && bytes.subarray(0, 12).equals(MAPPED) ? bytes.subarray(12) : bytes);

function alternativeNames(text: string): string[] {
  const found = nextBlock(withoutLead(text));
  if (found === undefined) throw new CallError('failed to decode PEM block');
  return orMalformed('the certificate', () => {
    const extension = readCertificate(found.block.bytes).extensions.get(EXT.names);
    if (extension === undefined) return [];
    const names = children(readOne(extension.value));
    return TOLD.flatMap((tag) =>
      names
        .filter((name) => name.tag === tag)
        .map(({ content }) => (tag === IP ? addressText(content) : content.toString('latin1'))),
    );
  });
}

export const certificates: Table = {
  filterPEM: fn('string, string', (_, type, text) => filterPem(type, text)),
  filterCertChain: fn('string, string', (call, kind, text) => {
    call.meter.step(Math.ceil(text.length / 16));
    try {
      return filterChain(kind, text);
    } catch (error) {
      if (error instanceof NoChain) throw new CallError(error.message);
      throw error;
    }
  }),
  certSANs: fn('string', (call, text) => {
    call.meter.step(Math.ceil(text.length / 16));
    return strings(alternativeNames(text));
  }),
};
