/** One request to the source, as a role declares it, and as it is sent. Pure. */

import { failure } from '../../base/errors.ts';
import { parseJson } from '../../base/json.ts';
import { placesOf, readTemplate, render, type Template } from './template.ts';

export const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

export interface Step {
  readonly method: (typeof METHODS)[number];
  /** Below the address of the source; a template, like the values of the headers and the body. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON; empty: no body. */
  readonly body: string;
  /** Statuses that mean success; empty: every one from 200 to 299. */
  readonly expect: readonly number[];
}

/** What a place may stand for; a name that is missing here is missing in this step. */
export type Facts = Readonly<Record<string, string>>;

export interface Outgoing {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export const TEXT_LIMIT = 64 * 1024;
const HEADER_LIMIT = 8 * 1024;
const PATH_LIMIT = 2048;
/** RFC 9110, section 5.6.2. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]{1,128}$/;
const HEADER_VALUE = /^[\x20-\x7e]*$/;
/** RFC 3986, with its percent; a "#" or a white space would be read by each reader in its own way. */
const PATH = /^\/[\w\-.~!$&'()*+,;=:@%/?]*$/;
/** What HTTP is framed by, and what this engine says itself. */
const OWN_HEADERS =
  /^(?:host|connection|content-length|content-type|transfer-encoding|te|trailer|upgrade|expect|keep-alive|idempotency-key|proxy-.*)$/i;
/** Ends a JSON string, and a line: what is not well quoted in a body shows when this stands in its places. */
const HOSTILE = 'x"\\\r\n{}[],:é';

/**
 * Refuses what could not be sent.
 * @param what "create", "renew" or "revoke"
 * @param places the names that have a value in this step; "secret.NAME" has one always
 * @throws Failure custom.role
 */
export function checkStep(what: string, step: Step, places: readonly string[]): void {
  const bad = (reason: string) => failure('custom.role', { reason: `${what}: ${reason}` });
  const read = (name: string, text: string): Template => {
    const template = readTemplate(text);
    if (template === undefined) throw bad(`${name} has a "{{" that begins no place such as {{key}}`);
    const unknown = placesOf(template).find((place) => !isSecret(place) && !places.includes(place));
    if (unknown !== undefined)
      throw bad(`${name} has the place {{${unknown}}}; known here are ${places.join(', ')} and secret.NAME`);
    return template;
  };
  const literal = read('path', step.path).parts.filter((_, at) => at % 2 === 0);
  if (step.path.length > PATH_LIMIT || !literal.every((part, at) => PATH.test(at === 0 ? part : `/${part}`)))
    throw bad('path must begin with "/" and hold only what a URL holds');
  if (!isCanonical(step.path.replace(/\{\{[^}]*\}\}/g, 'x')))
    throw bad(
      'path is not canonical: no empty, "." or ".." segment, nothing that a URL has in another spelling',
    );
  for (const [name, value] of Object.entries(step.headers)) {
    checkHeaderName(name, bad);
    const template = read(`the header ${name}`, value);
    if (!template.parts.every((part) => HEADER_VALUE.test(part)) || value.length > HEADER_LIMIT)
      throw bad(`the header ${name} holds what no header may hold`);
  }
  if (step.body.length > TEXT_LIMIT) throw bad(`body is longer than ${TEXT_LIMIT} characters`);
  const body = read('body', step.body);
  if (step.body !== '' && !isJson(render(body, sample, 'json')))
    throw bad('body must be JSON, with its places inside of strings; {{ttl}} may stand alone');
  if (!step.expect.every((status) => status >= 200 && status < 300))
    throw bad('expect holds what is no status of success');
}

/** @throws what `bad` makes */
export function checkHeaderName(name: string, bad: (reason: string) => Error): void {
  if (!TOKEN.test(name)) throw bad('a header has a name that no header may have');
  if (OWN_HEADERS.test(name)) throw bad(`the header ${name} is set by the server itself`);
}

export const isSecret = (place: string): boolean => place.startsWith('secret.');

/** Whether these characters may stand in a header, a template's places left out. */
export const isHeaderText = (text: string): boolean =>
  text.length <= HEADER_LIMIT &&
  (readTemplate(text)?.parts.every((part) => HEADER_VALUE.test(part)) ?? false);

/**
 * The request with all values in it.
 * @param key says to the source, again and again if need be, which credential is meant
 * @throws Failure custom.render
 */
export function outgoing(
  step: Step,
  source: { readonly address: string; readonly headers: Readonly<Record<string, string>> },
  value: (name: string) => string,
  key: string,
): Outgoing {
  // Without a name, a path names the folder: "delete nobody" would read "delete all".
  const present = (name: string): string => {
    const found = value(name);
    if (found === '') throw failure('custom.render', { what: 'the path' });
    return found;
  };
  const path = renderText(step.path, present, 'path');
  if (!isCanonical(path)) throw failure('custom.render', { what: 'the path' });
  const url = source.address + path;
  const headers: Record<string, string> = { accept: 'application/json' };
  for (const [name, text] of [...Object.entries(source.headers), ...Object.entries(step.headers)]) {
    const rendered = renderText(text, value, 'plain');
    if (!HEADER_VALUE.test(rendered) || rendered.length > HEADER_LIMIT)
      throw failure('custom.render', { what: `the header ${name}` });
    headers[name.toLowerCase()] = rendered;
  }
  headers['idempotency-key'] = key;
  if (step.body === '') return { url, headers };
  headers['content-type'] = 'application/json';
  return { url, headers, body: renderText(step.body, value, 'json') };
}

function renderText(
  text: string,
  value: (name: string) => string,
  encoding: 'path' | 'json' | 'plain',
): string {
  const template = readTemplate(text);
  if (template === undefined) throw failure('custom.render', { what: 'a template' });
  return render(template, value, encoding);
}

/** Whether the status is one of success. */
export const isExpected = ({ expect }: Step, status: number): boolean =>
  expect.length === 0 ? status >= 200 && status < 300 : expect.includes(status);

/** Whether every reader of URLs reads this path as it stands; a reader would take some values for a step up. */
function isCanonical(path: string): boolean {
  const origin = 'https://source';
  if (!URL.canParse(origin + path) || new URL(origin + path).href !== origin + path) return false;
  const [name = ''] = path.split('?');
  return !name.slice(1).split('/').slice(0, -1).includes('');
}

const sample = (place: string): string => (place === 'ttl' ? '3600' : HOSTILE);

function isJson(text: string): boolean {
  try {
    parseJson(text);
    return true;
  } catch {
    return false;
  }
}
