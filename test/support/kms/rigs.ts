/** Every kind of seal over its double, for the suite of all seals and for what moves a store from one to another. */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { base64 } from '../../../src/base/bytes.ts';
import { failure } from '../../../src/base/errors.ts';
import { randomKey } from '../../../src/crypto/random.ts';
import { awsKms } from '../../../src/server/seal/awskms.ts';
import { azureKeyVault } from '../../../src/server/seal/azurekeyvault.ts';
import type { SealRig } from '../../../src/server/seal/conformance.ts';
import { fileSeal } from '../../../src/server/seal/file.ts';
import { gcpKms } from '../../../src/server/seal/gcpckms.ts';
import { googleIdentity } from '../../../src/server/seal/google-identity.ts';
import { sealOf } from '../../../src/server/seal/keyservice.ts';
import { kubernetesSeal } from '../../../src/server/seal/kubernetes.ts';
import { awsDouble } from './aws.ts';
import { azureDouble } from './azure.ts';
import { askOf, type Double } from './double.ts';
import { googleDouble } from './google.ts';

/** Cheap enough to be made again and again. */
export const CHEAP = { N: 1024, r: 8, p: 1 };

const faultsOf = (double: Double): Omit<SealRig, 'seal'> => ({
  rotate: () => double.rotate(),
  disable: () => double.disable(),
  remove: () => double.remove(),
  away(is) {
    double.fault = is ? 'away' : 'none';
  },
  garbage() {
    double.fault = 'garbage';
  },
  deny: () => double.deny(),
  forge() {
    double.fault = 'forged';
  },
});

/** @param keyId absent: the key by its id */
export function awsRig(keyId?: string): SealRig & { readonly double: ReturnType<typeof awsDouble> } {
  const double = awsDouble();
  const keys = { accessKeyId: double.accessKey, secretAccessKey: double.secretKey };
  return {
    ...faultsOf(double),
    double,
    rotate: () => double.turnAlias(),
    seal: () =>
      sealOf(
        awsKms({
          ask: askOf(double),
          region: 'eu-central-1',
          endpoint: 'https://kms.eu-central-1.amazonaws.com',
          keyId: keyId ?? double.keyId,
          credentials: async () => keys,
        }),
      ),
  };
}

export async function googleRig(): Promise<SealRig & { readonly double: ReturnType<typeof googleDouble> }> {
  const double = googleDouble();
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-google-'));
  writeFileSync(join(folder, 'credentials.json'), double.credentials);
  const identity = await googleIdentity(join(folder, 'credentials.json'));
  rmSync(folder, { recursive: true });
  return {
    ...faultsOf(double),
    double,
    seal: () =>
      sealOf(
        gcpKms({
          ask: askOf(double),
          endpoint: 'https://cloudkms.googleapis.com',
          project: double.project,
          region: 'europe-west3',
          keyRing: double.keyRing,
          cryptoKey: double.cryptoKey,
          identity,
        }),
      ),
  };
}

const VAULT = 'https://holdfast.vault.azure.net';
const AUTHORITY = 'https://login.microsoftonline.com';

export function azureRig(): SealRig & { readonly double: ReturnType<typeof azureDouble> } {
  const double = azureDouble(VAULT, AUTHORITY);
  const { tenant, client, secret, keyName } = double;
  return {
    ...faultsOf(double),
    double,
    seal: () =>
      sealOf(
        azureKeyVault({
          ask: askOf(double),
          vault: VAULT,
          authority: AUTHORITY,
          keyName,
          identity: { kind: 'secret', tenant, client, secret },
        }),
      ),
  };
}

/** A Secret in memory, behind an API that can be away. */
export function kubernetesRig(): SealRig {
  let data: Record<string, string> | undefined;
  let entry = 'key';
  let trouble: (() => Error) | undefined;
  const seen = <T>(value: T): T => {
    if (trouble !== undefined) throw trouble();
    return value;
  };
  const unreachable = () =>
    failure('kube.unreachable', { address: 'https://canary-host', reason: 'ECONNREFUSED' });
  return {
    seal: () =>
      sealOf(
        kubernetesSeal({
          namespace: 'vault',
          name: 'unseal',
          entry,
          secret: {
            read: async () => seen(data),
            async create(given) {
              if (seen(data) !== undefined) return false;
              data = { ...given };
              return true;
            },
            close() {},
          },
        }),
      ),
    rotate() {
      entry = 'key-2';
      data = { ...data, [entry]: base64(randomKey(32)) };
    },
    disable() {
      data = { ...data, key: base64(randomKey(16)) };
    },
    remove() {
      data = undefined;
    },
    away(is) {
      trouble = is ? unreachable : undefined;
    },
    garbage() {
      data = { key: 'no base64' };
    },
    deny() {
      trouble = () => failure('kube.denied', { request: 'get secrets/unseal', reason: 'forbidden' });
    },
    forge() {},
  };
}

/** @param content of the file */
export function fileRig(content: string | Uint8Array): SealRig & { readonly path: string } {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-seal-file-'));
  const path = join(folder, 'seal.key');
  const put = (text: string | Uint8Array): void => {
    writeFileSync(path, text, { mode: 0o600 });
    chmodSync(path, 0o600);
  };
  put(content);
  return {
    path,
    seal: () => sealOf(fileSeal({ path, cost: CHEAP })),
    rotate() {},
    disable() {},
    remove: () => put(base64(randomKey(32))),
    away: (is) => (is ? rmSync(path) : put(content)),
    garbage: () => put(Buffer.of(0xff, 0xfe)),
    deny: () => chmodSync(path, 0o644),
    forge() {},
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
