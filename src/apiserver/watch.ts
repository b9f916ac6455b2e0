/**
 * A watch: what happened since a version, then what happens, line by line. A reader that cannot keep up is cut off, not
 * waited for and not buffered without end: it comes back with the version it saw last.
 */

import type { ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { View } from './kindset.ts';
import { type Fields, fields, meta, type Obj } from './objects.ts';
import type { Registry } from './registry.ts';
import type { Selector } from './selectors.ts';
import { everything } from './selectors.ts';
import { Refusal } from './status.ts';
import type { StoreEvent } from './store.ts';

/** Bytes that may wait for one reader. */
const BACKLOG = 8 * 1024 * 1024;
const BOOKMARK_EVERY = 60_000;

export interface WatchOptions {
  readonly namespace: string | undefined;
  readonly selector: Selector;
  /** Events after this version; undefined: what is there first, as additions. */
  readonly from: number | undefined;
  readonly bookmarks: boolean;
  /** A bookmark marked as the end of what was there first (KEP-3157). */
  readonly announceInitial: boolean;
  readonly timeoutMs: number;
  /** What is sent of an object. */
  readonly shape: (object: Obj, first: boolean) => Obj;
}

/** Runs until the reader leaves, the time is up, or `closing` says so. Gives what ends it. */
export function startWatch(
  response: ServerResponse,
  registry: Registry,
  view: View,
  clock: Clock,
  options: WatchOptions,
): () => void {
  const { store } = registry;
  const resource = registry.place(view, '', '').resource;
  // Before the head is sent: a version that is too old is answered as an error of the stream, as Kubernetes does.
  let missed: StoreEvent[] = [];
  let refusal: Refusal | undefined;
  try {
    if (options.from !== undefined) missed = store.since(options.from, resource);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refusal = error;
  }
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();

  let first = true;
  const cancel: (() => void)[] = [];
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    for (const one of cancel) one();
    response.end();
  };
  const send = (type: string, object: Obj): void => {
    if (ended) return;
    response.write(`${JSON.stringify({ type, object })}\n`);
    if (response.writableLength > BACKLOG) {
      end();
      response.destroy();
    }
  };
  if (refusal !== undefined) {
    send('ERROR', refusal.toStatus());
    end();
    return end;
  }
  const tell = (type: string, object: Obj): void => {
    send(type, options.shape(object, first));
    first = false;
  };
  const matches = (object: Obj): boolean => options.selector === everything || options.selector(object);
  const hear = (event: StoreEvent): void => {
    if (event.place.resource !== resource) return;
    if (options.namespace !== undefined && event.place.namespace !== options.namespace) return;
    const before = event.before === undefined ? undefined : registry.seen(view, event.before);
    const after = event.after === undefined ? undefined : registry.seen(view, event.after);
    const was = before !== undefined && matches(before);
    const is = after !== undefined && matches(after);
    if (is) tell(was ? 'MODIFIED' : 'ADDED', after);
    else if (was) tell('DELETED', at(before, event.version));
  };
  const bookmark = (annotations?: Fields): void => {
    const apiVersion = view.kind.group === '' ? view.version.name : `${view.kind.group}/${view.version.name}`;
    const metadata = fields({ resourceVersion: String(store.head), creationTimestamp: null, annotations });
    send('BOOKMARK', fields({ kind: view.kind.kind, apiVersion, metadata }));
  };

  if (options.from === undefined)
    for (const object of registry.list(view, options.namespace, options.selector)) tell('ADDED', object);
  if (options.announceInitial) bookmark(fields({ 'k8s.io/initial-events-end': 'true' }));
  for (const event of missed) hear(event);
  cancel.push(store.onChange(hear));
  cancel.push(
    clock.after(options.timeoutMs, () => {
      if (options.bookmarks) bookmark();
      end();
    }),
  );
  if (options.bookmarks) {
    let stop = (): void => {};
    const again = (): void => {
      stop = clock.after(BOOKMARK_EVERY, () => {
        bookmark();
        again();
      });
    };
    again();
    cancel.push(() => stop());
  }
  response.on('close', end);
  return end;
}

function at(object: Obj, version: number): Obj {
  const metadata = Object.assign(Object.create(null) as Fields, meta(object), {
    resourceVersion: String(version),
  });
  return Object.assign(Object.create(null) as Obj, object, { metadata });
}
