/** What a client of Redis takes for one, for tests that need a database and nothing but npm: it notes the words and agrees. */

import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';

export interface AgreeableRedis {
  readonly port: number;
  /** The commands, in their order, with their words. */
  readonly heard: readonly (readonly string[])[];
  close(): Promise<void>;
}

/** Mounts `database/` over it, with a role "app" that lives an hour. @param write a PUT of the Vault API, as root */
export async function issueAccounts(
  write: (path: string, body: object) => Promise<unknown>,
  { port }: Pick<AgreeableRedis, 'port'>,
): Promise<void> {
  await write('sys/mounts/database', { type: 'database' });
  await write('database/config/cache', {
    plugin_name: 'redis-database-plugin',
    host: '127.0.0.1',
    port,
    username: 'keeper',
    password: 'pass',
    allowed_roles: '*',
  });
  await write('database/roles/app', {
    db_name: 'cache',
    creation_statements: '["~app:*", "+@read"]',
    default_ttl: '1h',
    max_ttl: '24h',
  });
}

/** Listens on the loopback interface and agrees to whatever comes. @param accounts who is there already */
export async function startAgreeableRedis(...accounts: readonly string[]): Promise<AgreeableRedis> {
  const there = new Set(accounts);
  const answerTo = ([first, second, name = '']: readonly string[]): string => {
    if (first !== 'ACL') return '+OK\r\n';
    if (second === 'SETUSER') there.add(name);
    if (second === 'DELUSER') return `:${there.delete(name) ? 1 : 0}\r\n`;
    if (second !== 'GETUSER') return '+OK\r\n';
    return there.has(name) ? '*2\r\n$5\r\nflags\r\n*1\r\n$2\r\non\r\n' : '*-1\r\n';
  };
  const heard: string[][] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    let rest = '';
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const { commands, after } = commandsOf(rest + chunk.toString('latin1'));
      rest = after;
      heard.push(...commands);
      socket.write(commands.map(answerTo).join(''));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    heard,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** What is whole of `*N\r\n$LENGTH\r\nWORD\r\n...`, and what stands behind it. */
function commandsOf(text: string): { commands: string[][]; after: string } {
  const commands: string[][] = [];
  let at = 0;
  for (;;) {
    const found = commandAt(text, at);
    if (found === undefined) return { commands, after: text.slice(at) };
    commands.push(found.words);
    at = found.end;
  }
}

function commandAt(text: string, start: number): { words: string[]; end: number } | undefined {
  const line = (from: number): [number, number] | undefined => {
    const end = text.indexOf('\r\n', from);
    return end < 0 ? undefined : [Number(text.slice(from + 1, end)), end + 2];
  };
  const count = line(start);
  if (count === undefined) return undefined;
  const words: string[] = [];
  let at = count[1];
  for (let left = count[0]; left > 0; left--) {
    const length = line(at);
    if (length === undefined || text.length < length[1] + length[0] + 2) return undefined;
    words.push(text.slice(length[1], length[1] + length[0]));
    at = length[1] + length[0] + 2;
  }
  return { words, end: at };
}
