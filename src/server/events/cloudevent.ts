/**
 * An event as its subscribers get it: CloudEvents 1.0 in the JSON form that Vault Enterprise sends, with the revision to
 * resume from added twice: in the metadata, where Vault's own clients show it, and as an extension attribute.
 */

import { hex, sha256 } from '../../base/bytes.ts';
import type { ServerEvent } from './events.ts';

export interface CloudEvent {
  readonly id: string;
  readonly source: string;
  readonly specversion: '1.0';
  readonly type: string;
  readonly time: string;
  /** Spelled with one "t", as Vault spells it; clients of its wire look for that name. */
  readonly datacontentype: 'application/cloudevents';
  /** Extension attribute (CloudEvents 1.0, "Naming conventions"): what `?after=` takes. */
  readonly revision: string;
  /** Extension attribute (CloudEvents, "Distributed Tracing"): the span in which it was changed. */
  readonly traceparent?: string;
  readonly data: {
    readonly event: { readonly id: string; readonly metadata: Readonly<Record<string, string>> };
    readonly event_type: string;
    readonly plugin_info: {
      readonly mount_class: 'secret' | 'auth';
      readonly mount_accessor: string;
      readonly mount_path: string;
      readonly plugin: string;
      readonly version?: string;
    };
  };
}

/** The message for one event. `source` names the server ("vault://host"). */
export function toCloudEvent(event: ServerEvent, source = 'vault://holdfast'): CloudEvent {
  const id = eventId(event);
  const { mountPath, mountAccessor, plugin, version } = event.plugin;
  return {
    id,
    source,
    specversion: '1.0',
    type: event.type,
    time: new Date(event.at).toISOString(),
    datacontentype: 'application/cloudevents',
    revision: String(event.revision),
    ...(event.traceparent === undefined ? {} : { traceparent: event.traceparent }),
    data: {
      event: {
        id,
        metadata: {
          ...event.metadata,
          path: event.path,
          data_path: event.dataPath,
          operation: event.operation,
          modified: String(event.modified),
          revision: String(event.revision),
        },
      },
      event_type: event.type,
      plugin_info: {
        mount_class: mountAccessor.startsWith('auth_') ? 'auth' : 'secret',
        mount_accessor: mountAccessor,
        mount_path: mountPath,
        plugin,
        ...(version === undefined ? {} : { version }),
      },
    },
  };
}

/** In the form of a UUID, which is what clients expect, and the same on every node and every delivery. */
function eventId(event: ServerEvent): string {
  const digest = hex(sha256(`${event.revision}\n${event.type}\n${event.path}`));
  return digest.slice(0, 32).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-8$3-8$4-$5');
}
