import { describe, expect, it } from 'vitest';
import { silentLog } from '../base/log.ts';
import { MemoryBackend } from '../storage/memory.ts';
import type { Write } from '../storage/storage.ts';
import { fields, nameOf, type Obj, versionOf } from './objects.ts';
import { Refusal } from './status.ts';
import { ObjectStore, type StoreEvent } from './store.ts';

const place = (name: string) => ({ resource: 'core/configmaps', namespace: 'n', name });
const object = (name: string, value = ''): Obj =>
  fields({ kind: 'ConfigMap', metadata: fields({ name, namespace: 'n' }), value });

/** A medium that fails when it is told to. */
class Failing extends MemoryBackend {
  broken = false;
  commits = 0;
  override async commit(writes: readonly Write[]): Promise<number> {
    this.commits++;
    if (this.broken) throw new Error('the disk is full');
    return super.commit(writes);
  }
}

describe('the store of objects', () => {
  it('shares commits between writers, gives every write its own version, and tells them in order', async () => {
    const backend = new Failing();
    const store = await ObjectStore.open(backend, silentLog);
    const heard: StoreEvent[] = [];
    store.onChange((event) => heard.push(event));
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => store.mutate(place(`o${i}`), () => ({ put: object(`o${i}`) }))),
    );
    expect(backend.commits).toBeLessThan(10);
    const versions = heard.map((event) => event.version);
    expect(new Set(versions).size).toBe(100);
    expect([...versions].sort((a, b) => a - b)).toEqual(versions);
    expect(store.since(versions[49] ?? 0, 'core/configmaps')).toEqual(heard.slice(50));
  });

  it('is as it was when the medium fails, tells nobody, and goes on when it works again', async () => {
    const backend = new Failing();
    const store = await ObjectStore.open(backend, silentLog);
    await store.mutate(place('a'), () => ({ put: object('a', 'old') }));
    const head = store.head;
    let heard = 0;
    store.onChange(() => heard++);
    backend.broken = true;
    await expect(store.mutate(place('a'), () => ({ put: object('a', 'new') }))).rejects.toThrow(
      'the disk is full',
    );
    await expect(store.mutate(place('a'), () => 'delete')).rejects.toThrow();
    expect([store.get(place('a'))?.['value'], store.head, heard]).toEqual(['old', head, 0]);
    backend.broken = false;
    await store.mutate(place('a'), () => ({ put: object('a', 'new') }));
    expect(store.get(place('a'))?.['value']).toBe('new');
  });

  it('never uses a version again, not even that of a deletion before a restart', async () => {
    const backend = new MemoryBackend();
    const first = await ObjectStore.open(backend, silentLog);
    await first.mutate(place('a'), () => ({ put: object('a') }));
    const gone = await first.mutate(place('a'), () => 'delete');
    const second = await ObjectStore.open(backend, silentLog);
    const made = await second.mutate(place('b'), () => ({ put: object('b') }));
    expect(Number(versionOf(made?.after as Obj))).toBeGreaterThan(gone?.version ?? Number.POSITIVE_INFINITY);
    expect(second.list('core/configmaps').map(nameOf)).toEqual(['b']);
    expect(() => second.since(0, 'core/configmaps')).toThrow(Refusal);
  });

  it('turns away a name that the medium cannot keep, without harm to those who write beside it', async () => {
    const store = await ObjectStore.open(new MemoryBackend(), silentLog);
    const long = 'x'.repeat(5000);
    const answers = await Promise.allSettled(
      ['a', long, '\ud800', 'b'].map((name) => store.mutate(place(name), () => ({ put: object(name) }))),
    );
    expect(answers.map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
  });

  it('decides about one object one at a time', async () => {
    const store = await ObjectStore.open(new MemoryBackend(), silentLog);
    await store.mutate(place('n'), () => ({ put: object('n', '0') }));
    const add = () =>
      store.mutate(place('n'), (current) => ({ put: object('n', String(Number(current?.['value']) + 1)) }));
    await Promise.all([
      ...Array.from({ length: 50 }, add),
      expect(store.mutate(place('n'), () => Promise.reject(new Error('no')))).rejects.toThrow('no'),
    ]);
    expect(store.get(place('n'))?.['value']).toBe('50');
  });
});
