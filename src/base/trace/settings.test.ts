import { describe, expect, it } from 'vitest';
import { isFailure } from '../errors.ts';
import { traceSettings } from './settings.ts';

const AT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
const LOW = `${'0'.repeat(31)}1`;
const HIGH = 'f'.repeat(32);

describe('the settings of tracing', () => {
  it.each([
    ['nothing names a collector', {}],
    ['the endpoint is empty', { OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
    ['it is disabled', { ...AT, OTEL_SDK_DISABLED: 'true' }],
    ['traces are not exported', { ...AT, OTEL_TRACES_EXPORTER: 'none' }],
  ])('trace nothing where %s', (_, env) => {
    expect(traceSettings(env, 'x')).toBeUndefined();
  });

  it.each([
    [AT, 'http://collector:4318/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c/otlp/' }, 'https://c/otlp/v1/traces'],
    [{ ...AT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://c/as/it/is' }, 'https://c/as/it/is'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:4318' }, 'http://c:4318/'],
  ])('send %j to %s', (env, url) => {
    expect(traceSettings(env, 'x')?.url).toBe(url);
  });

  it('decode headers and attributes, and let the more particular one win', () => {
    const found = traceSettings(
      {
        ...AT,
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20a%2Cb, x-two = 2,',
        OTEL_RESOURCE_ATTRIBUTES: 'service.name=first,deployment.environment=prod',
        OTEL_SERVICE_NAME: 'second',
      },
      'holdfast-server',
    );
    expect(found?.headers).toEqual({ authorization: 'Bearer a,b', 'x-two': '2' });
    expect(found?.resource).toEqual({ 'service.name': 'second', 'deployment.environment': 'prod' });
    expect(traceSettings(AT, 'holdfast-server')?.resource).toEqual({ 'service.name': 'holdfast-server' });
  });

  it('follow whoever began a trace, and take a share of those that begin here', () => {
    const sampler = traceSettings(
      { ...AT, OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.5' },
      'x',
    )?.sampler;
    const parent = (sampled: boolean) => ({ traceId: LOW, spanId: '1'.repeat(16), sampled });
    expect(sampler?.(LOW, parent(true))).toBe(true);
    expect(sampler?.(HIGH, parent(false))).toBe(false);
    expect([sampler?.(LOW, undefined), sampler?.(HIGH, undefined)]).toEqual([false, true]);
  });

  it.each([
    ['0', [false, false]],
    ['1', [true, true]],
  ])('record all or nothing by a share of %s', (share, expected) => {
    const env = { ...AT, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: share };
    const sampler = traceSettings(env, 'x')?.sampler;
    expect([sampler?.('0'.repeat(32), undefined), sampler?.(HIGH, undefined)]).toEqual(expected);
  });

  it.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://user:canary-4711@collector'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'canary-4711'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'x=canary-4711%'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'x=canary-4711%0d%0aInjected: 1'],
    ['OTEL_TRACES_SAMPLER', 'toString'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
    ['OTEL_TRACES_SAMPLER_ARG', 'all'],
  ])('refuse %s=%s by the name of the variable, and quote nothing', (name, value) => {
    let thrown: unknown;
    try {
      traceSettings({ ...AT, [name]: value }, 'x');
    } catch (error) {
      thrown = error;
    }
    if (!isFailure(thrown)) throw new Error('it was taken');
    expect(thrown.code).toBe('config.refused');
    expect(thrown.message).toContain(name);
    expect(JSON.stringify(thrown) + thrown.message).not.toContain('canary');
  });
});
