/** Certificates in PEM (RFC 7468), as configurations hold them. */

import { X509Certificate } from 'node:crypto';

/** Room for a bundle of CAs, in characters. */
const LIMIT = 256 * 1024;

/** Whether the text is one or more PEM certificates, each of which parses, and nothing else that is PEM. */
export function isCertificates(pem: string): boolean {
  if (pem.length > LIMIT) return false;
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const begins = pem.match(/-----BEGIN /g) ?? [];
  if (blocks.length === 0 || blocks.length !== begins.length) return false;
  try {
    for (const block of blocks) new X509Certificate(block);
    return true;
  } catch {
    return false;
  }
}
