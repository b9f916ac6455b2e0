import { afterEach, expect, test } from 'vitest';
import { cubbyhole } from '../../engines/cubbyhole/index.ts';
import { kv } from '../../engines/kv/index.ts';
import { startCluster, type TestCluster } from './testing.ts';

let cluster: TestCluster;
afterEach(() => cluster.close());

test('one node leads, and the other answers the same: reads by itself, writes by asking the leader', async () => {
  cluster = await startCluster([kv, cubbyhole], ['a', 'b']);
  const leader = await cluster.leader();
  const standby = await cluster.standby();
  expect((await leader.ask('POST', 'sys/mounts/secret', { type: 'kv-v2' })).status).toBe(204);
  for (let i = 1; i <= 20; i++) {
    const by = i % 2 === 0 ? leader : standby;
    const other = i % 2 === 0 ? standby : leader;
    const put = await by.ask('POST', 'secret/data/a', { data: { n: i }, options: { cas: i - 1 } });
    expect([put.status, put.json?.data?.version]).toEqual([200, i]);
    const got = await other.ask('GET', 'secret/data/a');
    expect([got.status, got.json?.data?.data]).toEqual([200, { n: i }]);
  }
});
