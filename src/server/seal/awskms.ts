/**
 * A key in AWS KMS. The root key is 32 bytes and goes there as it is: no key of our own in between. The store names the key by
 * the id that KMS told, and KMS is asked to unwrap with that key and no other.
 */

import { type Ask, trouble } from './ask.ts';
import { type AwsCredentials, asked, clientConfig } from './aws-client.ts';
import { type KeyService, lazily, otherKey } from './keyservice.ts';

export const AWSKMS = 'awskms';

export interface AwsKmsOptions {
  readonly ask: Ask;
  readonly region: string;
  /** URL of KMS. */
  readonly endpoint: string;
  /** An id, an ARN, or an alias ("alias/..." or its ARN). */
  readonly keyId: string;
  readonly credentials: () => Promise<AwsCredentials>;
}

/** Bound to what it wraps, and told in CloudTrail: a policy of the key may insist on it (kms:EncryptionContext:holdfast). */
const CONTEXT = { holdfast: 'root key' };

export function awsKms({ ask, region, endpoint, keyId, credentials }: AwsKmsOptions): KeyService {
  const client = lazily(async () => {
    const { KMS } = await import('./awskms-sdk.ts');
    return new KMS(clientConfig(ask, endpoint, region, credentials));
  });
  const garbage = () => trouble(AWSKMS, 'refused', 'its answer was not one of AWS KMS');
  return {
    type: AWSKMS,
    async wrap(plain, abortSignal) {
      const kms = await client();
      const request = kms.encrypt(
        { KeyId: keyId, Plaintext: plain, EncryptionContext: CONTEXT },
        { abortSignal },
      );
      const { KeyId, CiphertextBlob } = await asked(AWSKMS, request, { hidden: true, canLose: false });
      if (KeyId === undefined || CiphertextBlob === undefined || CiphertextBlob.length === 0) throw garbage();
      if (!isAlias(keyId) && idOf(KeyId) !== idOf(keyId))
        throw trouble(AWSKMS, 'refused', 'it answered for another key');
      return { key: KeyId, version: '', data: CiphertextBlob };
    },
    async unwrap({ key, data }, abortSignal) {
      // An alias may have been turned to a newer key since: the older one still opens what it wrapped.
      if (!isAlias(keyId) && idOf(key) !== idOf(keyId)) throw otherKey(AWSKMS, key, keyId);
      const kms = await client();
      const request = kms.decrypt(
        {
          KeyId: isAlias(keyId) ? key : keyId,
          CiphertextBlob: data,
          EncryptionContext: CONTEXT,
          EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
        },
        { abortSignal },
      );
      const { KeyId, Plaintext } = await asked(AWSKMS, request, { hidden: false, canLose: true });
      if (KeyId === undefined || Plaintext === undefined) throw garbage();
      if (idOf(KeyId) !== idOf(key)) throw trouble(AWSKMS, 'refused', 'it answered for another key');
      return Plaintext;
    },
  };
}

const isAlias = (keyId: string): boolean => /^(arn:[^/]*:)?alias\//.test(keyId);

/** Ids are unique, and those of keys in several regions are the same in each: what stands before them is where to ask. */
const idOf = (keyId: string): string => keyId.slice(keyId.lastIndexOf('/') + 1);
