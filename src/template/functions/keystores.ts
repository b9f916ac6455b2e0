/** Key stores in PKCS #12: taken apart into PEM, and made of PEM. What is made depends on the caller's random bytes alone. */

import { readKeyStore, Unsupported, WrongPassword } from '../../crypto/pkcs12/read.ts';
import { type Making, writeKeyStore, writeTrustStore } from '../../crypto/pkcs12/write.ts';
import { readCertificate } from '../../crypto/x509/certificate.ts';
import { NoChain } from '../../crypto/x509/chain.ts';
import { nameText, readName } from '../../crypto/x509/name.ts';
import { type Block, blocksOf, nextBlock, pemText } from '../pem.ts';
import { toBytes } from '../text.ts';
import { certificateOf, certificatePem, chainOf, orMalformed } from './certificates.ts';
import { firstKey, privateKeyOf } from './keys.ts';
import { type Call, CallError, fn, type Table } from './table.ts';

/** Iterations of a hash that take as long as one unit of `Fuel.cost`. */
const ITERATIONS_PER_COST = 64;

const payOf =
  (call: Call) =>
  (iterations: number): void =>
    call.meter.spend(Math.ceil(iterations / ITERATIONS_PER_COST));

function opened(call: Call, password: string, store: string) {
  call.meter.step(Math.ceil(store.length / 16));
  try {
    return orMalformed('pkcs12: the archive', () =>
      readKeyStore(toBytes(store), toBytes(password), payOf(call)),
    );
  } catch (error) {
    if (error instanceof WrongPassword) throw new CallError('pkcs12: decryption password incorrect');
    if (error instanceof Unsupported) throw new CallError(`pkcs12: ${error.message}`);
    throw error;
  }
}

/** All private keys, as PKCS #8 in PEM. */
function keysIn(call: Call, password: string, store: string): string {
  const { keys } = opened(call, password, store);
  if (keys.length === 0) throw new CallError('pkcs12: private key missing');
  return keys
    .map((der) => {
      const key = privateKeyOf(der, ['pkcs8']);
      if (key === undefined) throw new CallError('pkcs12: a private key is of a type that is not supported');
      return pemText('PRIVATE KEY', key.export({ type: 'pkcs8', format: 'der' }));
    })
    .join('');
}

/** All certificates, in the order of their chain where they are one, else as they stand. */
function certificatesIn(call: Call, password: string, store: string): string {
  const found = opened(call, password, store).certificates.map(certificateOf);
  if (found.length === 0) throw new CallError('pkcs12: certificate missing');
  const text = found.map(certificatePem).join('');
  try {
    const ordered = chainOf(text);
    return ordered.map(certificatePem).join('');
  } catch (error) {
    if (error instanceof NoChain) return text;
    throw error;
  }
}

const makingOf = (call: Call, password: string): Making => ({
  password: toBytes(password),
  random: call.random,
  pay: payOf(call),
});

/** The certificates of PEM blocks in DER. @throws CallError where one does not read, or there is none */
function certificatesOf(call: Call, pem: string, blocks: readonly Block[]): [Buffer, ...Buffer[]] {
  call.meter.step(Math.ceil(pem.length / 16));
  const [first, ...more] = blocks.map(({ bytes }) => certificateOf(bytes).der);
  if (first === undefined) throw new CallError('failed to decode PEM block containing certificate');
  return [first, ...more];
}
const allOf = (call: Call, pem: string): [Buffer, ...Buffer[]] => certificatesOf(call, pem, blocksOf(pem));
/** The first alone: what follows is not even looked at, as upstream has it. */
const firstOf = (call: Call, pem: string): [Buffer, ...Buffer[]] => {
  const block = nextBlock(pem)?.block;
  return certificatesOf(call, pem, block === undefined ? [] : [block]);
};

function keyStore(call: Call, chain: [Buffer, ...Buffer[]], key: string, password: string): string {
  const der = firstKey(key).export({ type: 'pkcs8', format: 'der' });
  call.meter.alloc(2 * chain.reduce((sum, one) => sum + one.length, der.length));
  return writeKeyStore(der, chain, makingOf(call, password)).toString('base64');
}

function trustStore(call: Call, pem: string, password: string): string {
  const used = new Map<string, number>();
  const entries = allOf(call, pem).map((certificate) => {
    const subject = orMalformed('a name', () => nameText(readName(readCertificate(certificate).subject)));
    // Java takes two entries of one name for one, and would drop a certificate that is to be trusted.
    const times = (used.get(subject.toLowerCase()) ?? 0) + 1;
    used.set(subject.toLowerCase(), times);
    return { certificate, name: times === 1 ? subject : `${subject} (${times})` };
  });
  call.meter.alloc(2 * pem.length);
  return writeTrustStore(entries, makingOf(call, password)).toString('base64');
}

export const keystores: Table = {
  pkcs12key: fn('string', (call, store) => keysIn(call, '', store)),
  pkcs12keyPass: fn('string, string', keysIn),
  pkcs12cert: fn('string', (call, store) => certificatesIn(call, '', store)),
  pkcs12certPass: fn('string, string', certificatesIn),
  pemToPkcs12: fn('string, string', (call, cert, key) => keyStore(call, firstOf(call, cert), key, '')),
  pemToPkcs12Pass: fn('string, string, string', (call, cert, key, password) =>
    keyStore(call, firstOf(call, cert), key, password),
  ),
  fullPemToPkcs12: fn('string, string', (call, certs, key) => keyStore(call, allOf(call, certs), key, '')),
  fullPemToPkcs12Pass: fn('string, string, string', (call, certs, key, password) =>
    keyStore(call, allOf(call, certs), key, password),
  ),
  pemTruststoreToPKCS12: fn('string', (call, certs) => trustStore(call, certs, '')),
  pemTruststoreToPKCS12Pass: fn('string, string', trustStore),
};
