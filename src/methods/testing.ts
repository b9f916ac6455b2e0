/** What the tests of auth methods share. For tests alone. */

import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { type Code, isFailure } from '../base/errors.ts';

/** A self-signed CA, in PEM. */
export async function makeCa(): Promise<string> {
  x509.cryptoProvider.set(webcrypto as never);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test',
    keys: keys as never,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.UTC(2025, 0, 1)),
    notAfter: new Date(Date.UTC(2035, 0, 1)),
  });
  return certificate.toString('pem');
}

/** The failure that a call ends with; anything else fails the test. */
export async function failureOf(call: Promise<unknown>): Promise<{ code: Code; message: string }> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isFailure(error)) throw new Error(`expected a failure, got ${String(error)}`);
  return { code: error.code, message: error.message };
}
