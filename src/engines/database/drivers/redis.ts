/** Redis and Valkey, through `@redis/client`, which is loaded when the first database is spoken to. */

import { asRefusal, type Connect, type Locate, type Query, STATEMENT_TIMEOUT_MS } from '../driver.ts';
import { isAddress, type Target, type TlsMaterial } from '../target.ts';

interface Client {
  readonly isReady: boolean;
  connect(): Promise<unknown>;
  destroy(): void;
  on(event: 'error', hear: () => void): unknown;
  sendCommand(words: readonly string[]): Promise<unknown>;
}

/** One connection is enough: the server takes one command after the other. @param locate the judge of every address */
export const redis =
  (locate: Locate): Connect =>
  (target, login, material) => {
    let client: Promise<Client> | undefined;

    const open = async (): Promise<Client> => {
      const { createClient } = await import('./redis-client.ts');
      const { ip, port } = await locate(target.host, target.port);
      const made: Client = createClient({
        ...(login.username === '' ? {} : { username: login.username }),
        ...(login.password === '' ? {} : { password: login.password }),
        // In the newer protocol a server could push the client to an address that nobody judged.
        RESP: 2,
        maintNotifications: 'disabled',
        disableClientInfo: true,
        disableOfflineQueue: true,
        socket: {
          host: ip,
          port,
          connectTimeout: target.connectTimeoutMs,
          // Who comes next connects again, to an address that is judged again.
          reconnectStrategy: false,
          ...(target.tls === 'disable' ? {} : tlsOptions(target, material)),
        },
      });
      made.on('error', () => {});
      // The driver's own limit ends with the TCP connection; the login comes after it.
      await inTime(made, made.connect(), target.connectTimeoutMs);
      return made;
    };

    const connected = async (): Promise<Client> => {
      const before = await client?.catch(() => undefined);
      if (before !== undefined && !before.isReady) {
        before.destroy();
        client = undefined;
      }
      client ??= open();
      const mine = client;
      try {
        return await mine;
      } catch (error) {
        if (client === mine) client = undefined;
        throw error;
      }
    };

    return {
      async transaction(work) {
        const connection = await connected().catch((error: unknown) => {
          throw asRefusal(error, 'database.connection', translate);
        });
        const query: Query = async (command, values = []) => {
          const reply = await inTime(
            connection,
            connection.sendCommand([...command.split(' '), ...values]),
            STATEMENT_TIMEOUT_MS,
          );
          return reply === null ? [] : [{ reply }];
        };
        try {
          return await work(query);
        } catch (error) {
          throw asRefusal(error, 'database.failed', translate);
        }
      },
      async close() {
        const open = client;
        client = undefined;
        await open?.then((made) => made.destroy()).catch(() => {});
      },
    };
  };

/** A server that keeps silent would keep the caller for ever; its connection is of no use to anybody. */
async function inTime<T>(client: Client, reply: Promise<T>, ms: number): Promise<T> {
  const timer = setTimeout(() => client.destroy(), ms);
  try {
    return await reply;
  } finally {
    clearTimeout(timer);
  }
}

function tlsOptions({ tls, serverName }: Target, { ca, certificate, key }: TlsMaterial) {
  return {
    tls: true as const,
    rejectUnauthorized: tls === 'verify-full',
    // The connection goes to the address that was judged, so that the name has to be told.
    ...(isAddress(serverName) ? {} : { servername: serverName }),
    ...(ca === '' ? {} : { ca }),
    ...(certificate === '' ? {} : { cert: certificate, key }),
  };
}

const WORDS: Readonly<Record<string, string>> = {
  WRONGPASS: 'password authentication failed',
  NOAUTH: 'the login is not allowed',
  NOPERM: 'insufficient privilege',
  READONLY: 'it is a replica, which takes no changes',
  ERR: 'the command or a rule of the ACL was refused',
};

/** The first word of what Redis says is its code; the rest quotes arguments. */
function translate(error: unknown): string | undefined {
  const code = error instanceof Error ? /^([A-Z]{3,20}) /.exec(error.message)?.[1] : undefined;
  if (code === undefined) return undefined;
  return Object.hasOwn(WORDS, code) ? `${WORDS[code]} (${code})` : code;
}
