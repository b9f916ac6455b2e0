import { expect, it } from 'vitest';
import { locator } from './databases.ts';
import { isLoopback } from './dev/network.ts';

const loopback = locator({ target: (host, port) => ({ host, port }), allow: ({ ip }) => isLoopback(ip) });

it('gives the address that was judged, and where a Service really is', async () => {
  expect(await loopback('127.0.0.1', 5432)).toEqual({ ip: '127.0.0.1', port: 5432 });
  const service = locator({ target: () => ({ host: '::1', port: 6000 }), allow: ({ ip }) => isLoopback(ip) });
  expect(await service('postgres.shared.svc', 5432)).toEqual({ ip: '::1', port: 6000 });
});

it('refuses what is not on the list, and where clouds keep the keys of their machines whatever the list says', async () => {
  await expect(loopback('192.0.2.1', 5432)).rejects.toMatchObject({ code: 'dial.refused' });
  const anywhere = locator({ target: (host, port) => ({ host, port }), allow: () => true });
  for (const ip of ['169.254.169.254', '::ffff:169.254.169.254', 'fe80::1'])
    await expect(anywhere(ip, 80)).rejects.toMatchObject({ code: 'dial.refused' });
});
