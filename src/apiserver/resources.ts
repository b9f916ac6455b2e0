/** The verbs over resources: a request's target and query in, an answer out. Authorization comes before anything is read. */

import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Validation } from './admission.ts';
import { partial, tableOf } from './columns.ts';
import { apiVersionOf } from './kinds.ts';
import type { KindSet, View } from './kindset.ts';
import { asText, at, fields, meta, nameOf, namespaceOf, type Obj, type Value } from './objects.ts';
import { jsonPatch, mergePatch, strategicPatch } from './patch.ts';
import { type Ask, decide, refusalText, type User } from './rbac.ts';
import type { DeleteOptions, Registry, WriteOptions } from './registry.ts';
import { expectObject, mediaType, readValue, type Target, type Wanted } from './request.ts';
import { requestToken, reviewOf } from './reviews.ts';
import { scaleOf, withScale } from './scale.ts';
import { shapeOf } from './shape.ts';
import { badRequest, forbidden, methodNotAllowed, noRoute, Refusal } from './status.ts';
import type { Tokens } from './tokens.ts';
import type { WatchOptions } from './watch.ts';

export interface Call {
  readonly method: string;
  readonly target: Target;
  readonly query: URLSearchParams;
  readonly user: User;
  readonly agent: string;
  readonly contentType: string | undefined;
  readonly wanted: Wanted;
  readonly body: () => Promise<Buffer>;
  readonly warn: (text: string) => void;
}

export type Answer =
  | { readonly code: number; readonly body: Obj }
  | { readonly watch: WatchOptions; readonly view: View };

const LONGEST_WATCH = 3_600_000;
const SHORTEST_WATCH = 1_800_000;

export class Resources {
  readonly #registry: Registry;
  readonly #kinds: KindSet;
  readonly #tokens: Tokens;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(registry: Registry, tokens: Tokens, clock: Clock, log: Log) {
    this.#log = log;
    this.#registry = registry;
    this.#kinds = registry.kinds;
    this.#tokens = tokens;
    this.#clock = clock;
  }

  async answer(call: Call): Promise<Answer> {
    const { target } = call;
    const review = target.version === 'v1' ? reviewOf(target.group, target.plural) : undefined;
    if (review !== undefined) {
      if (call.method !== 'POST' || target.name !== undefined) throw methodNotAllowed();
      this.#authorize(call, 'create');
      const object = expectObject(readValue(await call.body(), mediaType(call.contentType)));
      const answer = await review.answer({
        store: this.#registry.store,
        tokens: this.#tokens,
        caller: call.user,
        namespace: target.namespace ?? '',
        review: object,
      });
      return { code: 201, body: { ...answer, kind: review.kind, apiVersion: `${review.group}/v1` } };
    }
    const view = this.#kinds.find(target.group, target.version, target.plural);
    if (view === undefined) throw noRoute();
    if (
      view.kind.namespaced
        ? target.name !== undefined && target.namespace === undefined
        : target.namespace !== undefined
    )
      throw noRoute();
    const subresource = this.#subresource(call, view);
    if (subresource === 'token') return this.#token(call);
    return target.name === undefined
      ? this.#collection(call, view)
      : this.#item(call, view, target.name, subresource);
  }

  #subresource({ target }: Call, { kind, version }: View): 'status' | 'scale' | 'token' | undefined {
    switch (target.subresource) {
      case undefined:
        return undefined;
      case 'status':
        if (version.status) return 'status';
        break;
      case 'scale':
        if (version.scale !== undefined) return 'scale';
        break;
      case 'token':
        if (kind.group === '' && kind.kind === 'ServiceAccount') return 'token';
        break;
    }
    throw noRoute();
  }

  /** @throws Refusal Forbidden */
  #authorize(call: Call, verb: string, name = call.target.name ?? ''): void {
    const { target } = call;
    const ask: Ask = {
      verb,
      group: target.group,
      resource: target.subresource === undefined ? target.plural : `${target.plural}/${target.subresource}`,
      namespace:
        target.namespace ??
        (target.group === '' && target.plural === 'namespaces' ? (target.name ?? '') : ''),
      name,
    };
    const { allowed } = decide(this.#registry.store, call.user, ask);
    this.#log.debug('asked', {
      user: call.user.name,
      group: ask.group,
      resource: ask.resource,
      verb,
      allowed,
    });
    if (allowed) return;
    const shown = target.namespace === undefined ? { ...ask, namespace: '' } : ask;
    throw forbidden({ group: target.group, plural: target.plural }, name, refusalText(call.user, shown));
  }

  async #token(call: Call): Promise<Answer> {
    if (call.method !== 'POST') throw methodNotAllowed();
    this.#authorize(call, 'create');
    const review = expectObject(readValue(await call.body(), mediaType(call.contentType)));
    const context = {
      store: this.#registry.store,
      tokens: this.#tokens,
      caller: call.user,
      namespace: call.target.namespace ?? '',
      review,
    };
    return { code: 201, body: await requestToken(context, call.target.name ?? '', this.#clock) };
  }

  async #collection(call: Call, view: View): Promise<Answer> {
    const { target, query } = call;
    switch (call.method) {
      case 'GET': {
        const fieldsText = query.get('fieldSelector') ?? '';
        const only = /^metadata\.name==?([^,=!]+)$/.exec(fieldsText)?.[1] ?? '';
        const watching = ['true', '1'].includes(query.get('watch') ?? '');
        this.#authorize(call, watching ? 'watch' : 'list', only);
        const selector = this.#registry.selector(view, query.get('labelSelector') ?? '', fieldsText);
        if (watching) return { view, watch: this.#watchOptions(call, view, selector) };
        return { code: 200, body: this.#list(call, view, selector) };
      }
      case 'POST': {
        this.#authorize(call, 'create', '');
        if (view.kind.namespaced && target.namespace === undefined) throw methodNotAllowed();
        const object = expectObject(readValue(await call.body(), mediaType(call.contentType)));
        object['kind'] ??= view.kind.kind;
        object['apiVersion'] ??= apiVersionOf(view.kind.group, view.version.name);
        const { object: created } = await this.#registry.create(
          view,
          target.namespace ?? '',
          object,
          this.#writeOptions(call),
        );
        return { code: 201, body: this.#shown(call, view, created) };
      }
      case 'DELETE': {
        this.#authorize(call, 'deletecollection');
        const selector = this.#registry.selector(
          view,
          query.get('labelSelector') ?? '',
          query.get('fieldSelector') ?? '',
        );
        const options = deleteOptions(await call.body(), call);
        const doomed = this.#registry.list(view, target.namespace, selector);
        for (const object of doomed) {
          await this.#registry
            .delete(view, namespaceOf(object), nameOf(object), options)
            .catch((error: unknown) => {
              if (!(error instanceof Refusal && error.reason === 'NotFound')) throw error;
            });
        }
        return { code: 200, body: this.#listOf(view, doomed, {}) };
      }
      default:
        throw methodNotAllowed();
    }
  }

  #list(call: Call, view: View, selector: (object: Obj) => boolean): Obj {
    const { query, target } = call;
    const { store } = this.#registry;
    let version = store.head;
    let found = this.#registry.list(view, target.namespace, selector);
    const token = query.get('continue') ?? '';
    if (token !== '') {
      const from = readContinue(token);
      // The first page's version stays the list's: a watch from it repeats what changed between pages, and misses nothing.
      store.assertKnown(from.version);
      version = from.version;
      found = found.filter((object) => `${namespaceOf(object)}/${nameOf(object)}` > from.after);
    }
    const limit = Number(query.get('limit') ?? 0);
    const page =
      Number.isSafeInteger(limit) && limit > 0 && found.length > limit ? found.slice(0, limit) : found;
    const last = page.at(-1);
    const more =
      page === found || last === undefined
        ? {}
        : {
            continue: writeContinue(version, `${namespaceOf(last)}/${nameOf(last)}`),
            remainingItemCount: found.length - page.length,
          };
    const metadata = { resourceVersion: String(version), ...more };
    if (call.wanted.form === 'table') return this.#table(call, view, page, metadata);
    if (call.wanted.form === 'partial') {
      return fields({
        kind: 'PartialObjectMetadataList',
        apiVersion: `meta.k8s.io/${call.wanted.version}`,
        metadata: fields(metadata),
        items: page.map((object) => partial(object)),
      });
    }
    return this.#listOf(view, page, metadata);
  }

  #listOf(view: View, objects: readonly Obj[], metadata: Record<string, Value>): Obj {
    const own: Record<string, Value> = { resourceVersion: String(this.#registry.store.head), ...metadata };
    return fields({
      kind: view.kind.listKind,
      apiVersion: apiVersionOf(view.kind.group, view.version.name),
      metadata: fields(own),
      items: [...objects],
    });
  }

  #table(call: Call, view: View, objects: readonly Obj[], metadata: Record<string, Value>): Obj {
    const include = call.query.get('includeObject');
    const table = tableOf(
      objects,
      view.version.columns,
      include === 'None' || include === 'Object' ? include : 'Metadata',
      this.#clock.now(),
    );
    return fields({ ...table, apiVersion: `meta.k8s.io/${call.wanted.version}`, metadata: fields(metadata) });
  }

  /** An object in the form that is asked for. */
  #shown(call: Call, view: View, object: Obj): Obj {
    if (call.wanted.form === 'table')
      return this.#table(call, view, [object], {
        resourceVersion: asText(meta(object)['resourceVersion']) ?? '',
      });
    return call.wanted.form === 'partial' ? partial(object) : object;
  }

  #watchOptions(call: Call, view: View, selector: (object: Obj) => boolean): WatchOptions {
    const { query, target } = call;
    const version = query.get('resourceVersion') ?? '';
    if (version !== '' && !/^\d+$/.test(version))
      throw badRequest('resourceVersion: Invalid value: it is not one of this server');
    const initial = query.get('sendInitialEvents') === 'true';
    const seconds = Number(query.get('timeoutSeconds') ?? 0);
    return {
      namespace: target.namespace,
      selector,
      from: initial || version === '' || version === '0' ? undefined : Number(version),
      bookmarks: ['true', '1'].includes(query.get('allowWatchBookmarks') ?? ''),
      announceInitial: initial,
      timeoutMs:
        seconds > 0
          ? Math.min(seconds * 1000, LONGEST_WATCH * 24)
          : SHORTEST_WATCH + Math.random() * SHORTEST_WATCH,
      shape: (object, first) => {
        const shown = this.#shown(call, view, object);
        // Only the first table of a watch names its columns.
        return call.wanted.form === 'table' && !first ? { ...shown, columnDefinitions: null } : shown;
      },
    };
  }

  async #item(
    call: Call,
    view: View,
    name: string,
    subresource: 'status' | 'scale' | undefined,
  ): Promise<Answer> {
    const namespace = call.target.namespace ?? '';
    switch (call.method) {
      case 'GET': {
        this.#authorize(call, 'get');
        const object = this.#registry.get(view, namespace, name);
        return {
          code: 200,
          body: subresource === 'scale' ? scaleOf(view, object) : this.#shown(call, view, object),
        };
      }
      case 'PUT': {
        this.#authorize(call, 'update');
        const given = expectObject(readValue(await call.body(), mediaType(call.contentType)));
        const options = this.#writeOptions(call, subresource);
        const change = (current: Obj): Obj =>
          subresource === 'scale' ? withScale(view, current, given) : given;
        const { object } = await this.#registry.update(view, namespace, name, change, options);
        return {
          code: 200,
          body: subresource === 'scale' ? scaleOf(view, object) : this.#shown(call, view, object),
        };
      }
      case 'PATCH':
        return this.#patch(call, view, namespace, name, subresource);
      case 'DELETE': {
        if (subresource !== undefined) throw methodNotAllowed();
        this.#authorize(call, 'delete');
        const options = deleteOptions(await call.body(), call);
        const { object, gone } = await this.#registry.delete(view, namespace, name, options);
        if (!gone) return { code: 200, body: this.#shown(call, view, object) };
        const details = fields({
          name,
          group: view.kind.group === '' ? undefined : view.kind.group,
          kind: view.kind.plural,
          uid: asText(meta(object)['uid']),
        });
        return {
          code: 200,
          body: fields({
            kind: 'Status',
            apiVersion: 'v1',
            metadata: fields({}),
            status: 'Success',
            details,
          }),
        };
      }
      default:
        throw methodNotAllowed();
    }
  }

  async #patch(
    call: Call,
    view: View,
    namespace: string,
    name: string,
    subresource: 'status' | 'scale' | undefined,
  ): Promise<Answer> {
    this.#authorize(call, 'patch');
    const type = mediaType(call.contentType);
    const options = this.#writeOptions(call, subresource);
    const shown = (object: Obj): Obj =>
      subresource === 'scale' ? scaleOf(view, object) : this.#shown(call, view, object);
    if (type === 'application/apply-patch+yaml') {
      if (subresource === 'scale') throw methodNotAllowed();
      const manager = call.query.get('fieldManager') ?? '';
      if (manager === '')
        throw new Refusal(
          'Invalid',
          'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        );
      const there = this.#registry.store.get(this.#registry.place(view, namespace, name));
      if (there === undefined) this.#authorize(call, 'create');
      const config = expectObject(readValue(await call.body(), type));
      const force = call.query.get('force') === 'true';
      const { object, created } = await this.#registry.apply(view, namespace, name, config, force, options);
      return { code: created ? 201 : 200, body: shown(object) };
    }
    const patcher = this.#patcher(view, type);
    const patch = readValue(await call.body(), type);
    const change = (current: Obj): Obj => {
      const base = subresource === 'scale' ? scaleOf(view, current) : current;
      const patched = expectObject(patcher(base, patch));
      return subresource === 'scale' ? withScale(view, current, patched) : patched;
    };
    const { object } = await this.#registry.update(view, namespace, name, change, options);
    return { code: 200, body: shown(object) };
  }

  #patcher(view: View, type: string): (target: Value, patch: Value) => Value {
    switch (type) {
      case 'application/json-patch+json':
        return jsonPatch;
      case 'application/merge-patch+json':
        return mergePatch;
      case 'application/strategic-merge-patch+json':
        if (view.kind.builtIn) return (target, patch) => strategicPatch(target, patch, shapeOf(undefined));
        break;
    }
    throw new Refusal(
      'UnsupportedMediaType',
      'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml',
    );
  }

  #writeOptions(call: Call, subresource?: 'status' | 'scale'): WriteOptions {
    const dryRun = call.query.getAll('dryRun');
    if (dryRun.some((one) => one !== 'All'))
      throw badRequest('dryRun: Unsupported value: supported values: "All"');
    const validation = call.query.get('fieldValidation') ?? 'Warn';
    if (!isValidation(validation))
      throw badRequest('fieldValidation: Unsupported value: supported values: "Ignore", "Strict", "Warn"');
    const manager = call.query.get('fieldManager') ?? '';
    return {
      manager: (manager === '' ? (call.agent.split('/')[0] ?? '') || 'unknown' : manager).slice(0, 128),
      dryRun: dryRun.length > 0,
      validation,
      warn: call.warn,
      ...(subresource === undefined ? {} : { subresource }),
    };
  }
}

const isValidation = (text: string): text is Validation => ['Strict', 'Warn', 'Ignore'].includes(text);

function deleteOptions(body: Buffer, call: Call): DeleteOptions {
  const given = body.length === 0 ? fields({}) : expectObject(readValue(body, mediaType(call.contentType)));
  const policy = asText(given['propagationPolicy']) ?? call.query.get('propagationPolicy');
  const uid = asText(at(given, 'preconditions', 'uid'));
  const resourceVersion = asText(at(given, 'preconditions', 'resourceVersion'));
  if (policy !== undefined && policy !== null && !['Background', 'Foreground', 'Orphan'].includes(policy)) {
    throw badRequest(
      'propagationPolicy: Unsupported value: supported values: "Background", "Foreground", "Orphan"',
    );
  }
  const orphan = given['orphanDependents'] === true;
  return {
    propagation: policy === 'Foreground' || policy === 'Orphan' ? policy : orphan ? 'Orphan' : 'Background',
    dryRun:
      call.query.getAll('dryRun').length > 0 ||
      (Array.isArray(given['dryRun']) && given['dryRun'].length > 0),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

const writeContinue = (version: number, after: string): string =>
  Buffer.from(JSON.stringify({ v: version, after })).toString('base64url');

function readContinue(token: string): { version: number; after: string } {
  try {
    const read = JSON.parse(Buffer.from(token, 'base64url').toString()) as { v?: unknown; after?: unknown };
    if (typeof read.v === 'number' && typeof read.after === 'string')
      return { version: read.v, after: read.after };
  } catch {
    // Told below: a token that does not read is none of ours.
  }
  throw badRequest('continue key is not valid');
}
