/** From a store's templates to a request: rendered over what is asked for and over the store's own secrets. */

import { utf8 } from '../../base/bytes.ts';
import { asFailure, failure } from '../../base/errors.ts';
import type { WebRequest } from '../../provider/egress.ts';
import { DEFAULT_FUEL, parseTemplate, type Template } from '../../template/index.ts';
import { checkedUrl, escaped, fixedOrigin } from './address.ts';
import type { WebhookSpec } from './spec.ts';

/** What a request is about: the members of `.remoteRef`. */
export type RemoteRef = Readonly<Record<string, string>>;

/** The store's secrets: what templates call them, and their entries. */
export type Secrets = ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>;

/** What a rendering may know of the world. */
export interface World {
  now(): Date;
  random(count: number): Uint8Array;
}

export interface Requests {
  /** The address that the template names in plain text, if it does. */
  readonly origin: string | undefined;
  /** @param body what is sent where the store has no template for it. @throws Failure provider.spec, template.* */
  request(method: string, ref: RemoteRef, body?: string): WebRequest;
  /** The path into the answer; "" is none. @throws Failure provider.spec */
  jsonPath(ref: RemoteRef): string;
}

/** Set by the client itself, whatever a store says: as Go's client does, which upstream uses. */
const OWN_HEADERS = new Set(['host', 'content-length', 'transfer-encoding', 'connection', 'trailer']);

/** Reads the templates, so that a store whose are wrong is told at once. @throws Failure provider.spec */
export function readTemplates(
  spec: WebhookSpec,
  secrets: Secrets,
  ca: string | undefined,
  store: string,
  world: World,
): Requests {
  const refuse = (what: string, error: unknown): Error =>
    failure('provider.spec', { store, reason: `failed to parse ${what}: ${asFailure(error).message}` });
  const read = (what: string, text: string): ((ref: RemoteRef) => string) => {
    if (!text.includes('{{')) return () => text;
    let template: Template;
    try {
      template = parseTemplate(text, { name: 'webhooktemplate' });
    } catch (error) {
      throw refuse(what, error);
    }
    return (ref) => {
      try {
        const env = { now: world.now(), random: world.random, fuel: DEFAULT_FUEL };
        return Buffer.from(template.render(dataOf(ref, secrets), env)).toString();
      } catch (error) {
        throw refuse(what, error);
      }
    };
  };
  const url = read('url', spec.url);
  const body = read('body', spec.body);
  const jsonPath = read('jsonPath', spec.result.jsonPath);
  const headers = Object.entries(spec.headers)
    .filter(([name]) => !OWN_HEADERS.has(name.toLowerCase()))
    .map(([name, text]) => ({ name, value: read(`header ${name}`, text) }));
  const origin = fixedOrigin(spec.url);

  const addressOf = (ref: RemoteRef): string => {
    const inUrl = (given: RemoteRef): string =>
      url(Object.fromEntries(Object.entries(given).map(([name, text]) => [name, escaped(text)])));
    return checkedUrl(inUrl(ref), origin ?? originOf(inUrl(anybody(ref)), store), store);
  };

  return {
    origin,
    jsonPath,
    request(method, ref, given) {
      const content = spec.body === '' ? given : body(ref);
      return {
        url: addressOf(ref),
        method,
        headers: Object.fromEntries(
          headers.map(({ name, value }) => [name, headerText(value(ref), name, store)]),
        ),
        ...(content === undefined || content === '' ? {} : { body: content }),
        ...(ca === undefined ? {} : { ca }),
        ...(spec.timeout === undefined ? {} : { timeoutMs: spec.timeout }),
      };
    },
  };
}

/** A host that comes out of the store's secrets must not depend on what is asked for: it is what comes out for this. */
const anybody = (ref: RemoteRef): RemoteRef =>
  Object.fromEntries(Object.entries(ref).map(([name, text]) => [name, text === '' ? '' : 'x']));

function originOf(rendered: string, store: string): string {
  if (URL.canParse(rendered)) return new URL(rendered).origin;
  throw failure('provider.spec', { store, reason: 'its url, rendered, is not a URL' });
}

/** A secret that has the name `remoteRef` adds to it, as upstream has it. */
const dataOf = (ref: RemoteRef, secrets: Secrets) =>
  new Map<string, ReadonlyMap<string, Uint8Array>>([
    ...secrets,
    [
      'remoteRef',
      new Map([
        ...Object.entries(ref).map(([name, text]) => [name, utf8(text)] as const),
        ...(secrets.get('remoteRef') ?? []),
      ]),
    ],
  ]);

/**
 * A header's value. ASCII alone: Node writes other characters in one encoding with a body and in another one without.
 * @throws Failure provider.spec
 */
function headerText(text: string, name: string, store: string): string {
  const value = text.trim();
  // Node would quote the value in its error.
  if (/^[\t\x20-\x7e]*$/.test(value)) return value;
  throw failure('provider.spec', {
    store,
    reason: `header ${name}, rendered, holds a line end or something else than printable ASCII`,
  });
}
