/**
 * Backups in a bucket of S3, or of what speaks like it: through AWS's official client, which signs. A file is sent in parts and
 * comes into being when the last of them is there; one that was cut off is aborted. Requests go to the endpoint that the
 * server's own file names and nowhere else, and redirects are not followed.
 */

import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { type Failure, failure, isFailure } from '../../base/errors.ts';
import { inParts } from './parts.ts';
import { type Kept, type Place, told } from './place.ts';
import { reasonOf } from './s3errors.ts';

export interface S3Settings {
  readonly bucket: string;
  /** As it stands before each name: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly region: string;
  /** Scheme, host and port; absent: AWS's own for the region. */
  readonly endpoint?: string | undefined;
  readonly pathStyle: boolean;
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string | undefined;
  };
  /** How the bucket encrypts what it is given, beside our own encryption. */
  readonly encryption?: { readonly algorithm: string; readonly keyId?: string | undefined } | undefined;
}

/** What carries the requests: made by whoever judges where they may lead. */
export type S3Handler = NonNullable<S3ClientConfig['requestHandler']>;

/** S3 takes 10,000 parts, each of 5 MB at least: files up to 160 GB. */
const PART_BYTES = 16 * 1024 * 1024;
const ATTEMPTS = 3;

/** Asks nobody yet. */
export function s3Place(settings: S3Settings, handler: S3Handler, partBytes = PART_BYTES): Place {
  const { bucket: Bucket, prefix } = settings;
  const shown = `s3://${Bucket}/${prefix}`;
  let client: Promise<Pack> | undefined;
  const pack = (): Promise<Pack> => {
    client ??= load(settings, handler);
    return client;
  };
  const refused = (error: unknown): Failure => {
    const { reason, mend } = reasonOf(error);
    return failure('backup.place', { place: shown, reason, mend }, { cause: error });
  };
  /** @throws Failure backup.place; the reason of the signal where it was aborted */
  const asked = async <T>(work: (given: Pack) => Promise<T>, signal?: AbortSignal): Promise<T> => {
    try {
      return await work(await pack());
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw isFailure(error) ? error : refused(error);
    }
  };
  const keyOf = (name: string): string => prefix + name;
  return {
    shown,
    list: (signal) =>
      asked(async ({ s3, sdk }) => {
        const kept: Kept[] = [];
        let ContinuationToken: string | undefined;
        do {
          const page = await s3.send(
            new sdk.ListObjectsV2Command({
              ...{ Bucket, Prefix: prefix, Delimiter: '/' },
              ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
            }),
            { abortSignal: signal },
          );
          for (const { Key, Size } of page.Contents ?? [])
            if (Key?.startsWith(prefix)) kept.push({ name: Key.slice(prefix.length), size: Size ?? 0 });
          ContinuationToken = page.IsTruncated === true ? page.NextContinuationToken : undefined;
        } while (ContinuationToken !== undefined);
        return kept;
      }, signal),
    write: (name, source, signal) =>
      asked((given) => upload(given, settings, keyOf(name), inParts(source, partBytes), signal), signal),
    async read(name, signal) {
      const body = await asked(async ({ s3, sdk }) => {
        try {
          const found = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: keyOf(name) }), {
            abortSignal: signal,
          });
          return found.Body as AsyncIterable<Uint8Array> | undefined;
        } catch (error) {
          if (error instanceof Error && error.name === 'NoSuchKey') throw failure('backup.absent', { name });
          throw error;
        }
      }, signal);
      if (body === undefined) throw failure('backup.absent', { name });
      return told(body, (error) => (signal.aborted ? signal.reason : refused(error)));
    },
    remove: (name) =>
      asked(async ({ s3, sdk }) => {
        await s3.send(new sdk.DeleteObjectCommand({ Bucket, Key: keyOf(name) }));
      }),
    tidy: (before) =>
      asked(async ({ s3, sdk }) => {
        const found = await s3.send(new sdk.ListMultipartUploadsCommand({ Bucket, Prefix: prefix }));
        for (const { Key, UploadId, Initiated } of found.Uploads ?? [])
          if (Key?.endsWith('.hfbackup') && Initiated !== undefined && Initiated.getTime() < before)
            await s3.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
      }),
    close() {
      void client?.then(
        ({ s3 }) => s3.destroy(),
        () => {},
      );
    },
  };
}

interface Pack {
  readonly s3: S3Client;
  readonly sdk: typeof import('./sdk.ts');
}

/** Nothing is taken from files or from the machine: each setting that the client would look for there is given. */
async function load(settings: S3Settings, requestHandler: S3Handler): Promise<Pack> {
  const sdk = await import('./sdk.ts');
  const { accessKeyId, secretAccessKey, sessionToken } = settings.credentials;
  const s3 = new sdk.S3Client({
    region: settings.region,
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
    forcePathStyle: settings.pathStyle,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    maxAttempts: ATTEMPTS,
    retryMode: 'standard',
    defaultsMode: 'standard',
    useFipsEndpoint: false,
    useDualstackEndpoint: false,
    useArnRegion: false,
    disableMultiregionAccessPoints: true,
    disableS3ExpressSessionAuth: true,
    followRegionRedirects: false,
    // Sums of newer kinds are what other makers' servers refuse; ours are in the file.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    userAgentAppId: async () => undefined,
    requestHandler,
  });
  return { s3, sdk };
}

/** One part: put as it is. More: begun, sent, and completed once all of them are there. */
async function upload(
  { s3, sdk }: Pack,
  { bucket: Bucket, encryption }: S3Settings,
  Key: string,
  parts: AsyncGenerator<Buffer, void, void>,
  abortSignal: AbortSignal,
): Promise<void> {
  const sealed =
    encryption === undefined
      ? {}
      : {
          ServerSideEncryption: encryption.algorithm as 'AES256' | 'aws:kms',
          ...(encryption.keyId === undefined ? {} : { SSEKMSKeyId: encryption.keyId }),
        };
  const about = { Bucket, Key, ContentType: 'application/octet-stream', ...sealed };
  const first = await parts.next();
  const second = first.done === true ? first : await parts.next();
  if (second.done === true) {
    const Body = first.done === true ? Buffer.alloc(0) : first.value;
    await s3.send(new sdk.PutObjectCommand({ ...about, Body }), { abortSignal });
    return;
  }
  const { UploadId } = await s3.send(new sdk.CreateMultipartUploadCommand(about), { abortSignal });
  try {
    const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
    const send = async (Body: Buffer): Promise<void> => {
      const PartNumber = Parts.length + 1;
      const { ETag } = await s3.send(new sdk.UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }), {
        abortSignal,
      });
      Parts.push({ PartNumber, ETag });
    };
    if (first.done !== true) await send(first.value);
    await send(second.value);
    for await (const part of parts) await send(part);
    abortSignal.throwIfAborted();
    await s3.send(
      new sdk.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
      { abortSignal },
    );
  } catch (error) {
    // Parts that nobody completes are paid for until somebody takes them away.
    await s3.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => {});
    throw error;
  }
}
