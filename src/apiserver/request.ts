/** One request, read at the edge: what it asks for, of which resource, in which form it wants the answer. */

import type { IncomingMessage } from 'node:http';
import { parse as parseYaml } from 'yaml';
import { textOf } from '../base/bytes.ts';
import { isFields, type Obj, parseValue, type Value } from './objects.ts';
import { decodeProtobuf } from './protobuf.ts';
import { badRequest, Refusal } from './status.ts';

/** etcd takes 1.5 MiB, the API server 3 MiB. */
const BODY_LIMIT = 3 * 1024 * 1024;
const URL_LIMIT = 16 * 1024;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const UNCLEAN = /[/\\\u0000-\u001f]/;

export interface Target {
  readonly group: string;
  readonly version: string;
  readonly namespace: string | undefined;
  readonly plural: string;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** Reads a URL. A path is decoded once, segment by segment; what is not canonical is no path. @throws Refusal BadRequest */
export function readUrl(raw: string): { segments: string[]; query: URLSearchParams } {
  if (raw.length > URL_LIMIT) throw badRequest('the URL is too long');
  const [path = '', search = ''] = raw.split(/\?(.*)/s, 2);
  let segments: string[];
  try {
    segments = path.split('/').slice(1).map(decodeURIComponent);
  } catch {
    throw badRequest('the path is not percent-encoded UTF-8');
  }
  if (segments.at(-1) === '') segments.pop();
  if (segments.some((part) => part === '' || part === '.' || part === '..' || UNCLEAN.test(part))) {
    throw badRequest('the path is not canonical');
  }
  return { segments, query: new URLSearchParams(search) };
}

/** The resource that a path names; undefined where it names none. */
export function readTarget(segments: readonly string[]): Target | undefined {
  const [root] = segments;
  const core = root === 'api';
  if (!core && root !== 'apis') return undefined;
  const rest = segments.slice(core ? 2 : 3);
  const version = segments[core ? 1 : 2];
  const group = core ? '' : segments[1];
  if (version === undefined || group === undefined || rest.length === 0) return undefined;
  const inside =
    rest[0] === 'namespaces' &&
    rest.length > 2 &&
    !(group === '' && ['status', 'finalize'].includes(rest[2] ?? ''));
  const [plural, name, subresource, more] = inside ? rest.slice(2) : rest;
  if (plural === undefined || more !== undefined) return undefined;
  return { group, version, namespace: inside ? rest[1] : undefined, plural, name, subresource };
}

export interface Wanted {
  readonly form: 'object' | 'table' | 'partial';
  /** The version of meta.k8s.io to answer a table or partial metadata in. */
  readonly version: string;
}

/** What the Accept header asks for: the first of its forms that this server has. @throws Refusal NotAcceptable */
export function readAccept(header: string | undefined): Wanted {
  const options = (header === undefined || header.trim() === '' ? 'application/json' : header).split(',');
  for (const option of options) {
    const [type = '', ...parameters] = option.split(';').map((part) => part.trim());
    if (type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue;
    const given = new Map(parameters.map((part) => part.split('=', 2) as [string, string]));
    const as = given.get('as');
    const version = given.get('v') ?? 'v1';
    if (as === undefined) return { form: 'object', version };
    if (given.get('g') !== 'meta.k8s.io') continue;
    if (as === 'Table') return { form: 'table', version };
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList')
      return { form: 'partial', version };
  }
  throw new Refusal('NotAcceptable', 'only the following media types are accepted: application/json');
}

/** The body's bytes, bounded while they arrive. @throws Refusal RequestEntityTooLarge */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > BODY_LIMIT) {
        chunks.length = 0;
        reject(new Refusal('RequestEntityTooLarge', `Request entity too large: limit is ${BODY_LIMIT}`));
      } else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', () => reject(badRequest('the request broke off')));
    request.on('aborted', () => reject(badRequest('the request broke off')));
  });
}

export const mediaType = (header: string | undefined): string =>
  (header ?? '').split(';')[0]?.trim().toLowerCase() ?? '';

/** Reads JSON, YAML or protobuf by the type that is given. @throws Refusal BadRequest, UnsupportedMediaType */
export function readValue(body: Buffer, type: string): Value {
  switch (type) {
    case '':
    case 'application/json':
    case 'application/json-patch+json':
    case 'application/merge-patch+json':
    case 'application/strategic-merge-patch+json':
      return json(body);
    case 'application/yaml':
    case 'application/apply-patch+yaml':
      return yaml(body);
    case 'application/vnd.kubernetes.protobuf':
      return decodeProtobuf(body);
    default:
      throw new Refusal(
        'UnsupportedMediaType',
        `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf`,
      );
  }
}

function utf8(body: Buffer): string {
  const text = textOf(body);
  if (text === undefined) throw badRequest('the body is not UTF-8');
  return text;
}

function json(body: Buffer): Value {
  try {
    return parseValue(utf8(body));
  } catch (error) {
    if (error instanceof Refusal) throw error;
    // The parser says where it stopped and never what stood there.
    throw badRequest(error instanceof Error ? error.message : 'the body is not JSON');
  }
}

function yaml(body: Buffer): Value {
  const text = utf8(body);
  if (text.trimStart().startsWith('{')) return json(body);
  let parsed: unknown;
  try {
    parsed = parseYaml(text, { version: '1.1', maxAliasCount: 100, logLevel: 'error' });
  } catch {
    throw badRequest('error decoding YAML: the body is not YAML');
  }
  return parseValue(JSON.stringify(parsed ?? null));
}

export function expectObject(value: Value): Obj {
  if (!isFields(value)) throw badRequest('the body is no object');
  return value;
}
