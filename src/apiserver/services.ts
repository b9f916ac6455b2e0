/** Where a Service of the embedded API is: by the address it is annotated with, else by its Endpoints. Nothing runs here, so the name alone leads nowhere. */

import { asList, asText, at, meta, type Obj } from './objects.ts';
import type { ObjectStore } from './store.ts';

/** `host:port` (or a URL) at which a Service of this API really answers. */
const ADDRESS = 'holdfast.dev/address';

export interface ServiceAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads NAME.NAMESPACE[.svc[.cluster.local]]; undefined where there is no such Service, or nobody said where it answers. */
export function serviceAddress(store: ObjectStore, host: string, port: number): ServiceAddress | undefined {
  const match = /^([a-z0-9-]+)\.([a-z0-9-]+)(?:\.svc(?:\.cluster\.local)?)?\.?$/.exec(host.toLowerCase());
  if (match === null) return undefined;
  const [, name = '', namespace = ''] = match;
  const service = store.get({ resource: 'core/services', namespace, name });
  if (service === undefined) return undefined;
  const annotated = asText(at(meta(service)['annotations'], ADDRESS));
  const address =
    annotated === undefined
      ? undefined
      : /^(?:https?:\/\/)?(\[[0-9a-f:]+\]|[^:/\s]+):(\d{1,5})\/?$/i.exec(annotated);
  if (address !== undefined && address !== null) {
    return { host: (address[1] ?? '').replace(/^\[|\]$/g, ''), port: Number(address[2]) };
  }
  return endpoint(store.get({ resource: 'core/endpoints', namespace, name }), service, port);
}

function endpoint(
  endpoints: Obj | undefined,
  service: Obj,
  port: number,
): { host: string; port: number } | undefined {
  const wanted = asList(at(service, 'spec', 'ports')).find((one) => at(one, 'port') === port);
  const name = asText(at(wanted, 'name'));
  for (const subset of asList(endpoints?.['subsets'])) {
    const ip = asText(at(asList(at(subset, 'addresses'))[0], 'ip'));
    const ports = asList(at(subset, 'ports'));
    const found = at(ports.find((one) => name === undefined || at(one, 'name') === name) ?? ports[0], 'port');
    if (ip !== undefined && typeof found === 'number') return { host: ip, port: found };
  }
  return undefined;
}
