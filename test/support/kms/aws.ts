/**
 * AWS KMS as far as the seal uses it: Encrypt and Decrypt by its JSON protocol, with real keys, and STS for a token in a file.
 * Each signature is computed anew (Signature Version 4), so that it is known what was signed and with whose key.
 */

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  randomBytes,
  randomUUID,
} from 'node:crypto';
import type { Answer } from '../../../src/server/seal/ask.ts';
import { type Double, type DoubleRequest, jsonAnswer } from './double.ts';

export interface AwsDouble extends Double {
  readonly keyId: string;
  readonly arn: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** The token that STS takes, and the role that it takes it for. */
  readonly webToken: string;
  readonly roleArn: string;
  /** Turns the alias "alias/unseal" to a new key. */
  turnAlias(): void;
}

const ACCOUNT = '111122223333';
const REGION = 'eu-central-1';
const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
const mac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

interface Key {
  readonly arn: string;
  readonly bytes: Buffer;
}

export function awsDouble(): AwsDouble {
  const newKey = (): Key => ({
    arn: `arn:aws:kms:${REGION}:${ACCOUNT}:key/${randomUUID()}`,
    bytes: randomBytes(32),
  });
  const first = newKey();
  const keys = [first];
  let current = first;
  let state: 'Enabled' | 'Disabled' | 'PendingDeletion' = 'Enabled';
  let isDenied = false;
  const accessKey = 'AKIAIOSFODNN7EXAMPLE';
  const secretKey = randomBytes(20).toString('hex');
  const session = { accessKey: 'ASIAIOSFODNN7EXAMPLE', secretKey: randomBytes(20).toString('hex') };
  const error = (status: number, type: string, message = ''): Answer =>
    jsonAnswer(status, { __type: type, message });

  const find = (id: string): Key | undefined =>
    id === 'alias/unseal' ? current : keys.find(({ arn }) => arn === id || arn.endsWith(`/${id}`));

  function handle(request: DoubleRequest): Answer {
    if (request.body.startsWith('Action=') || request.body.includes('&Action=')) return assume(request);
    const signed = signatureProblem(request, [{ accessKey, secretKey }, session]);
    if (signed !== undefined) return error(400, signed);
    if (isDenied)
      return error(
        400,
        'AccessDeniedException',
        `User: arn:aws:iam::${ACCOUNT}:user/canary-user is not authorized to perform: kms:Decrypt`,
      );
    const body = JSON.parse(request.body);
    const key = find(body.KeyId);
    if (key === undefined) return error(400, 'NotFoundException', 'no such key');
    if (state === 'Disabled') return error(400, 'DisabledException', 'the key is disabled');
    if (state === 'PendingDeletion') return error(400, 'KMSInvalidStateException', 'it is pending deletion');
    const bound = Buffer.from(JSON.stringify(body.EncryptionContext ?? {}));
    const answered = double.fault === 'forged' ? newKey().arn : key.arn;
    if (request.headers['x-amz-target'] === 'TrentService.Encrypt') {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce).setAAD(bound);
      const sealed = Buffer.concat([cipher.update(Buffer.from(body.Plaintext, 'base64')), cipher.final()]);
      const blob = Buffer.concat([Buffer.from(key.arn), nonce, cipher.getAuthTag(), sealed]);
      return jsonAnswer(200, {
        KeyId: answered,
        CiphertextBlob: blob.toString('base64'),
        EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      });
    }
    if (request.headers['x-amz-target'] !== 'TrentService.Decrypt')
      return error(400, 'UnknownOperationException');
    const blob = Buffer.from(body.CiphertextBlob, 'base64');
    const by = keys.find(({ arn }) => blob.subarray(0, arn.length).toString() === arn);
    if (by === undefined) return error(400, 'InvalidCiphertextException');
    if (by !== key) return error(400, 'IncorrectKeyException');
    const rest = blob.subarray(by.arn.length);
    try {
      const decipher = createDecipheriv('aes-256-gcm', by.bytes, rest.subarray(0, 12));
      decipher.setAAD(bound).setAuthTag(rest.subarray(12, 28));
      const plain = Buffer.concat([decipher.update(rest.subarray(28)), decipher.final()]);
      return jsonAnswer(200, {
        KeyId: answered,
        Plaintext: plain.toString('base64'),
        EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      });
    } catch {
      return error(400, 'InvalidCiphertextException');
    }
  }

  function assume({ body }: DoubleRequest): Answer {
    const form = new URLSearchParams(body);
    const xml = (status: number, text: string): Answer => ({
      status,
      body: new TextEncoder().encode(text),
      date: new Date().toUTCString(),
    });
    if (form.get('WebIdentityToken') !== double.webToken || form.get('RoleArn') !== double.roleArn)
      return xml(
        400,
        `<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>no</Message></Error></ErrorResponse>`,
      );
    return xml(
      200,
      `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${session.accessKey}</AccessKeyId><SecretAccessKey>${session.secretKey}</SecretAccessKey><SessionToken>session</SessionToken><Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
    );
  }

  const double: AwsDouble = {
    handle,
    fault: 'none',
    requests: [],
    keyId: first.arn.slice(first.arn.lastIndexOf('/') + 1),
    arn: first.arn,
    accessKey,
    secretKey,
    webToken: 'eyJhbGciOiJSUzI1NiJ9.canary-web-token.c2ln',
    roleArn: `arn:aws:iam::${ACCOUNT}:role/unseal`,
    // KMS rotates below its ids: nobody outside sees a version.
    rotate() {},
    turnAlias() {
      current = newKey();
      keys.push(current);
    },
    disable() {
      state = 'Disabled';
    },
    remove() {
      state = 'PendingDeletion';
    },
    deny() {
      isDenied = true;
    },
  };
  return double;
}

/** The error that AWS would give for the signature, or undefined where it is right. */
function signatureProblem(
  { headers, method, url, body }: DoubleRequest,
  known: readonly { readonly accessKey: string; readonly secretKey: string }[],
): string | undefined {
  const [, id = '', day = '', region = '', service = '', names = '', signature = ''] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      headers['authorization'] ?? '',
    ) ?? [];
  const owner = known.find(({ accessKey }) => accessKey === id);
  if (owner === undefined) return 'UnrecognizedClientException';
  if (region !== REGION || service !== 'kms') return 'InvalidSignatureException';
  const signed = names.split(';');
  const canonical = [
    method,
    url.pathname,
    '',
    ...signed.map((name) => `${name}:${(name === 'host' ? url.host : (headers[name] ?? '')).trim()}`),
    '',
    names,
    sha(body),
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha(canonical)].join('\n');
  const key = mac(mac(mac(mac(`AWS4${owner.secretKey}`, day), region), service), 'aws4_request');
  return mac(key, text).toString('hex') === signature ? undefined : 'InvalidSignatureException';
}
