/** sys/metrics where a listener opens it: to everybody who reaches that listener, and to nobody at another. */

import { expect, test } from 'vitest';
import { ManualClock } from '../../base/clock.ts';
import { listen } from '../../server/http/listener.ts';
import { startServer } from '../../server/testing.ts';

test('a listener that opens its numbers gives them without a token, sealed or not, and nothing else', async () => {
  const server = await startServer([]);
  const open = await listen(server.server, { host: '127.0.0.1', port: 0, openMetrics: true });
  const url = `http://127.0.0.1:${open.address.port}/v1/sys`;
  const scrape = async (path = 'metrics?format=prometheus', init: RequestInit = {}) => {
    const answer = await fetch(`${url}/${path}`, init);
    return { status: answer.status, text: await answer.text() };
  };
  try {
    const before = server.seen.lines.length;
    const found = await scrape();
    expect(found.status).toBe(200);
    for (const name of ['vault_core_unsealed 1', 'vault_token_count ', 'vault_runtime_alloc_bytes '])
      expect(found.text).toContain(`\n${name}`);
    expect(server.seen.lines.length).toBe(before);
    expect((await scrape('metrics', { headers: { 'x-vault-token': 'wrong' } })).status).toBe(200);
    expect((await scrape('metrics', { method: 'POST' })).status).not.toBe(200);
    expect((await scrape('mounts')).status).toBe(403);
    expect((await server.ask('GET', 'sys/metrics', undefined, { 'x-vault-token': '' })).status).toBe(403);
    await server.server.seal.seal();
    const sealed = await scrape();
    expect(sealed.status).toBe(200);
    expect(sealed.text).toContain('\nvault_core_unsealed 0');
    expect(sealed.text).not.toContain('vault_token_count');
    expect((await server.ask('GET', 'sys/metrics')).status).toBe(503);
  } finally {
    await open.close(0);
    await server.close();
  }
});

test('a crowd of strangers makes the server walk over what it stores once in ten seconds', async () => {
  const clock = new ManualClock();
  const server = await startServer([], { clock, listen: { openMetrics: true } });
  const tokens = async (): Promise<string | undefined> => {
    const answer = await fetch(`${server.url}/v1/sys/metrics?format=prometheus`);
    return /^vault_token_count (\d+)$/m.exec(await answer.text())?.[1];
  };
  try {
    expect(await tokens()).toBe('1');
    await server.ask('POST', 'auth/token/create', {});
    expect(await Promise.all(Array.from({ length: 10 }, tokens))).toEqual(Array(10).fill('1'));
    clock.advance(10_000);
    expect(await tokens()).toBe('2');
  } finally {
    await server.close();
  }
});
