/**
 * A double of S3 for tests: buckets in memory, over HTTP, that checks the shape of AWS's signature (version 4) and the sum of each
 * body, and can go wrong in the ways that buckets do.
 */

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface S3Double {
  readonly endpoint: string;
  readonly objects: Map<string, Buffer>;
  /** What was asked, as "PUT /bucket/key?query". */
  readonly asked: string[];
  /** What was wrong with a signature or a body; empty in a test that went well. */
  readonly wrong: string[];
  /** Uploads in parts that were begun and neither completed nor aborted. */
  open(): number;
  /** Answers in place of the bucket, where it gives something. */
  interfere: ((message: IncomingMessage) => { status: number; code: string } | 'cut' | undefined) | undefined;
  close(): Promise<void>;
}

const BUCKET = 'backups';
const SIGNED =
  /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/([a-z0-9-]+)\/s3\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$/;

export async function startS3(region: string): Promise<S3Double> {
  const objects = new Map<string, Buffer>();
  const uploads = new Map<string, { readonly key: string; readonly parts: Map<number, Buffer> }>();
  const asked: string[] = [];
  const wrong: string[] = [];
  let count = 0;

  const judge = ({ headers, method }: IncomingMessage, body: Buffer): string | undefined => {
    const [, named, signed = ''] = SIGNED.exec(headers.authorization ?? '') ?? [];
    if (named === undefined) return 'AccessDenied';
    if (named !== region) return 'AuthorizationHeaderMalformed';
    for (const needed of ['host', 'x-amz-content-sha256', 'x-amz-date'])
      if (!signed.split(';').includes(needed)) wrong.push(`${method}: ${needed} is not signed`);
    if (!/^\d{8}T\d{6}Z$/.test(String(headers['x-amz-date']))) wrong.push(`${method}: no date`);
    const sum = createHash('sha256').update(body).digest('hex');
    if (headers['x-amz-content-sha256'] !== sum) wrong.push(`${method}: the sum of the body is another`);
    return undefined;
  };

  const server = createServer(async (message, reply) => {
    const url = new URL(message.url ?? '/', 'http://double');
    asked.push(`${message.method} ${message.url}`);
    const turn = double.interfere?.(message);
    if (turn === 'cut') return void message.socket.destroy();
    const body = await bodyOf(message);
    if (turn !== undefined) return refuse(reply, turn.status, turn.code);
    const problem = judge(message, body);
    if (problem !== undefined) return refuse(reply, problem === 'AccessDenied' ? 403 : 400, problem);
    const [, bucket, ...rest] = url.pathname.split('/').map(decodeURIComponent);
    if (bucket !== BUCKET) return refuse(reply, 404, 'NoSuchBucket');
    const key = rest.join('/');
    const query = url.searchParams;
    const uploadId = query.get('uploadId');
    const upload = uploadId === null ? undefined : uploads.get(uploadId);
    if (uploadId !== null && upload === undefined) return refuse(reply, 404, 'NoSuchUpload');
    switch (message.method) {
      case 'GET': {
        if (key === '') return xml(reply, query.has('uploads') ? pending(uploads) : listing(objects, query));
        const found = objects.get(key);
        if (found === undefined) return refuse(reply, 404, 'NoSuchKey');
        return void reply.writeHead(200, { 'content-length': found.length }).end(found);
      }
      case 'PUT':
        if (upload === undefined) objects.set(key, body);
        else upload.parts.set(Number(query.get('partNumber')), body);
        return void reply.writeHead(200, { etag: `"${createHash('md5').update(body).digest('hex')}"` }).end();
      case 'POST': {
        if (query.has('uploads')) {
          const id = `upload-${++count}`;
          uploads.set(id, { key, parts: new Map() });
          return xml(
            reply,
            `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
          );
        }
        const numbers = [...String(body).matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map(([, n]) =>
          Number(n),
        );
        if (numbers.join() !== [...(upload?.parts.keys() ?? [])].join())
          return refuse(reply, 400, 'InvalidPart');
        objects.set(key, Buffer.concat([...(upload?.parts.values() ?? [])]));
        uploads.delete(uploadId ?? '');
        return xml(reply, `<CompleteMultipartUploadResult><Key>${key}</Key></CompleteMultipartUploadResult>`);
      }
      case 'DELETE':
        if (uploadId === null) objects.delete(key);
        else uploads.delete(uploadId);
        return void reply.writeHead(204).end();
      default:
        return refuse(reply, 405, 'MethodNotAllowed');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const double: S3Double = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    asked,
    wrong,
    open: () => uploads.size,
    interfere: undefined,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return double;
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

const xml = (reply: ServerResponse, text: string): void =>
  void reply.writeHead(200, { 'content-type': 'application/xml' }).end(`<?xml version="1.0"?>${text}`);

const refuse = (reply: ServerResponse, status: number, code: string): void =>
  void reply
    .writeHead(status, { 'content-type': 'application/xml', connection: 'close' })
    .end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>canary-message</Message></Error>`);

/** Two objects a page, so that pages are asked for. */
function listing(objects: ReadonlyMap<string, Buffer>, query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? '';
  const all = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  const from = Number(query.get('continuation-token') ?? 0);
  const contents = all
    .slice(from, from + 2)
    .filter((key) => !key.slice(prefix.length).includes('/'))
    .map((key) => `<Contents><Key>${key}</Key><Size>${objects.get(key)?.length}</Size></Contents>`);
  const more = from + 2 < all.length;
  return `<ListBucketResult>${contents.join('')}<IsTruncated>${more}</IsTruncated>${more ? `<NextContinuationToken>${from + 2}</NextContinuationToken>` : ''}</ListBucketResult>`;
}

const pending = (uploads: ReadonlyMap<string, { readonly key: string }>): string =>
  `<ListMultipartUploadsResult>${[...uploads]
    .map(
      ([id, { key }]) =>
        `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>`,
    )
    .join('')}</ListMultipartUploadsResult>`;
