/**
 * How tracing is configured: by the environment, under the names of OpenTelemetry's specification. Off unless an endpoint is
 * named. What cannot be meant is refused at the start, like any other setting: half a trace is found out about too late.
 */

import { failure } from '../errors.ts';
import { SAMPLERS, type Sampler, samplerOf } from './sampler.ts';
import type { Attributes } from './tracer.ts';

export interface TraceSettings {
  /** Where spans are sent. */
  readonly url: string;
  /** They may hold a key: never told. */
  readonly headers: Readonly<Record<string, string>>;
  /** PEM, of whom the collector's certificate is; absent: whom the system trusts. */
  readonly caFile?: string;
  readonly sampler: Sampler;
  readonly resource: Attributes;
}

type Env = Readonly<Record<string, string | undefined>>;

const refused = (name: string, reason: string, mend: string): Error =>
  failure('config.refused', { reason: `the environment variable ${name} ${reason}`, mend });

/**
 * @param service the name of what runs here, where the environment gives it none
 * @returns undefined where nothing is to be traced
 * @throws Failure config.refused, never with a header's value
 */
export function traceSettings(env: Env, service: string): TraceSettings | undefined {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none')
    return undefined;
  const url = endpoint(env);
  if (url === undefined) return undefined;
  refuseGrpc(env);
  const [headerName, headers] = first(env, 'HEADERS');
  const [, caFile] = first(env, 'CERTIFICATE');
  const told = pairs('OTEL_RESOURCE_ATTRIBUTES', env['OTEL_RESOURCE_ATTRIBUTES'] ?? '');
  return {
    url,
    headers: headersOf(headerName, headers ?? ''),
    ...(caFile === undefined ? {} : { caFile }),
    sampler: sampler(env),
    resource: { ...told, 'service.name': env['OTEL_SERVICE_NAME'] || told['service.name'] || service },
  };
}

/** The setting for traces goes before the one for all signals; empty is unset. */
function first(env: Env, tail: string): readonly [name: string, value: string | undefined] {
  const own = `OTEL_EXPORTER_OTLP_TRACES_${tail}`;
  return env[own]
    ? [own, env[own]]
    : [`OTEL_EXPORTER_OTLP_${tail}`, env[`OTEL_EXPORTER_OTLP_${tail}`] || undefined];
}

/** The one for traces is taken as it is; under the one for all signals lies a path for each. */
function endpoint(env: Env): string | undefined {
  const [name, text] = first(env, 'ENDPOINT');
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw refused(
      name,
      'is no URL of a collector',
      'Name one such as http://otel-collector:4318; what it wants to be shown goes into OTEL_EXPORTER_OTLP_HEADERS.',
    );
  if (!name.includes('_TRACES_')) url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/traces`;
  url.hash = '';
  return url.href;
}

function refuseGrpc(env: Env): void {
  const [name, protocol] = first(env, 'PROTOCOL');
  // A collector that takes one of these takes the other at the same address.
  if (protocol === undefined || protocol === 'http/json' || protocol === 'http/protobuf') return;
  throw refused(
    name,
    'names a protocol that is not spoken here',
    'Set it to http/json, and name the port of the collector for HTTP, which usually is 4318.',
  );
}

function sampler(env: Env): Sampler {
  const name = env['OTEL_TRACES_SAMPLER'] || 'parentbased_always_on';
  const share = Number(env['OTEL_TRACES_SAMPLER_ARG'] || '1');
  if (!(share >= 0 && share <= 1))
    throw refused('OTEL_TRACES_SAMPLER_ARG', 'is no share', 'Give a number from 0 to 1.');
  const found = samplerOf(name, share);
  if (found === undefined)
    throw refused('OTEL_TRACES_SAMPLER', 'names no sampler', `Name one of ${SAMPLERS.join(', ')}.`);
  return found;
}

function headersOf(name: string, text: string): Readonly<Record<string, string>> {
  const headers = pairs(name, text);
  for (const [key, value] of Object.entries(headers))
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(key) || !/^[\t\x20-\x7e]*$/.test(value))
      throw refused(name, 'holds what cannot be a header', 'Write name=value, with commas between them.');
  return headers;
}

/** "key=value,key2=value2", values percent-encoded, as W3C Baggage has it. */
function pairs(name: string, text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const at = part.indexOf('=');
    const key = part.slice(0, Math.max(at, 0)).trim();
    const value = decoded(part.slice(at + 1).trim());
    if (key === '' || value === undefined)
      throw refused(
        name,
        'is no list of pairs',
        'Write name=value, with commas between them and %2C for a comma in a value.',
      );
    found[key] = value;
  }
  return found;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
