import { expect, test } from 'vitest';
import { type ConfigText, readServerConfig } from './config.ts';

const BASE = 'storage "inmem" {}\nlistener "tcp" {\n address = "127.0.0.1:8200"\n tls_disable = true\n}\n';
const file = (text: string): readonly ConfigText[] => [{ name: 's.hcl', text: BASE + text }];
const KEYS = { AWS_ACCESS_KEY_ID: 'AKID', AWS_SECRET_ACCESS_KEY: 'canary' };
const read = (text: string, env: Record<string, string> = {}) => readServerConfig(file(text), env).backups;

test('a directory is kept for 30 days where nothing else is said, on its schedule', () => {
  const [one] = read('backup "nightly" {\n schedule = "0 3 * * *"\n directory = "/b"\n}');
  expect(one).toMatchObject({ name: 'nightly', keepMs: 30 * 86_400_000, place: { directory: '/b' } });
  expect(one?.schedule?.cron.matches(Date.UTC(2026, 0, 1, 3))).toBe(true);
});

test('a bucket takes its keys from the environment, and is asked by path where it is not of AWS', () => {
  const [aws, own] = read(
    `backup "a" {\n s3 {\n bucket = "team-backups"\n prefix = "/snapshots"\n region = "eu-central-1"\n }\n}
backup "b" {\n keep = "48h"\n s3 {\n bucket = "team-backups"\n region = "us-east-1"\n endpoint = "https://minio:9000"\n access_key = "X"\n }\n}`,
    KEYS,
  );
  expect(aws?.place).toMatchObject({
    prefix: 'snapshots/',
    pathStyle: false,
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'canary' },
  });
  expect(own).toMatchObject({
    keepMs: 48 * 3_600_000,
    schedule: undefined,
    place: { prefix: '', pathStyle: true, endpoint: 'https://minio:9000', credentials: { accessKeyId: 'X' } },
  });
});

test.each<[string, string, string]>([
  ['no place', 'backup "a" {\n}', 'has no place'],
  ['two places', 'backup "a" {\n directory = "/b"\n s3 {\n bucket = "b"\n }\n}', 'has two places'],
  ['a key that there is not', 'backup "a" {\n directry = "/b"\n}', '"directry" is not known'],
  [
    'a schedule that is none',
    'backup "a" {\n directory = "/b"\n schedule = "tomorrow"\n}',
    'is not a schedule',
  ],
  ['a time too short', 'backup "a" {\n directory = "/b"\n keep = "1m"\n}', 'less than an hour'],
  [
    'one name twice',
    'backup "a" {\n directory = "/b"\n}\nbackup "a" {\n directory = "/c"\n}',
    'two backup "a"',
  ],
  ['a name that no file can have', 'backup "../a" {\n directory = "/b"\n}', 'is not a name for backups'],
  ['a bucket without a region', 'backup "a" {\n s3 {\n bucket = "abc"\n }\n}', 'names no region'],
  [
    'a bucket that cannot be',
    'backup "a" {\n s3 {\n bucket = "A/b"\n region = "x"\n }\n}',
    'names no bucket',
  ],
  [
    'a bucket without keys',
    'backup "a" {\n s3 {\n bucket = "abc"\n region = "x"\n }\n}',
    'has no access_key',
  ],
  [
    'an endpoint with a password',
    'backup "a" {\n s3 {\n bucket = "abc"\n region = "x"\n endpoint = "https://u:canary@h"\n }\n}',
    'is not the URL of a server',
  ],
])('%s is refused by its line, without a secret', (_what, text, reason) => {
  let message = '';
  try {
    read(text);
  } catch (error) {
    message = error instanceof Error ? error.message : '';
  }
  expect(message).toContain(reason);
  expect(message).toMatch(/^s\.hcl:\d+: /);
  expect(message).not.toContain('canary');
});
