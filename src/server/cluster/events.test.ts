/** What a standby hands to the leader beside requests: sockets that ask for events, and the heads of its audit trail. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { kv } from '../../engines/kv/index.ts';
import { startCluster, type TestCluster, type TestNode } from './testing.ts';

let cluster: TestCluster;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-cluster-'));
});
afterEach(async () => {
  await cluster.close();
  rmSync(folder, { recursive: true, force: true });
});

const begin = async (): Promise<{ leader: TestNode; standby: TestNode }> => {
  cluster = await startCluster([kv], ['a', 'b']);
  const leader = await cluster.leader();
  await leader.ask('POST', 'sys/mounts/secret', { type: 'kv-v2' });
  return { leader, standby: await cluster.standby() };
};

function listen(node: TestNode, token: string, type = 'kv*') {
  const url = `${node.url.replace('http', 'ws')}/v1/sys/events/subscribe/${type}?json=true`;
  const socket = new WebSocket(url, { headers: { 'x-vault-token': token } });
  const paths: string[] = [];
  socket.on('message', (text) => void paths.push(JSON.parse(String(text)).data.event.metadata.path));
  socket.on('error', () => {});
  const opened = new Promise<number>((resolve) => {
    socket.on('open', () => resolve(101));
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
  });
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  return { socket, paths, opened, closed };
}

test('who listens at a standby hears what is written anywhere, and is judged by the leader', async () => {
  const { leader, standby } = await begin();
  const here = listen(standby, cluster.root);
  expect(await here.opened).toBe(101);
  await leader.ask('POST', 'secret/data/one', { data: {} });
  await standby.ask('POST', 'secret/data/two', { data: {} });
  await expect.poll(() => here.paths).toEqual(['secret/data/one', 'secret/data/two']);
  expect(await listen(standby, 'nobody').opened).toBe(403);
  const ending = listen(leader, cluster.root);
  expect(await ending.opened).toBe(101);
  await leader.ask('POST', 'sys/step-down');
  expect(await ending.closed).toBe(1001);
  await here.closed;
});

test('who listens at a standby hears that rights changed, wherever they were changed', async () => {
  const { leader, standby } = await begin();
  const here = listen(standby, cluster.root, 'system/*');
  expect(await here.opened).toBe(101);
  const policy = { policy: 'path "x" { capabilities = ["read"] }' };
  await leader.ask('PUT', 'sys/policies/acl/one', policy);
  await expect.poll(() => here.paths).toEqual(['sys/policies/acl']);
  await standby.ask('PUT', 'sys/policies/acl/two', policy);
  await expect.poll(() => here.paths).toHaveLength(2);
  here.socket.close();
});

test('each node writes its own trail, and the leader keeps the heads of both', async () => {
  const { leader, standby } = await begin();
  const enabled = await leader.ask('POST', 'sys/audit/file', {
    type: 'file',
    options: { file_path: join(folder, 'audit.log') },
  });
  expect(enabled.status).toBe(204);
  await leader.ask('POST', 'secret/data/a', { data: { n: 1 } });
  expect((await standby.ask('GET', 'secret/data/a')).status).toBe(200);
  await expect
    .poll(async () => (await leader.ask('GET', 'sys/audit-chain/file')).json?.data?.anchors?.length, {
      timeout: 8000,
    })
    .toBeGreaterThanOrEqual(2);
  expect(standby.lines.filter(({ message }) => message.includes('could not be anchored'))).toEqual([]);
});
