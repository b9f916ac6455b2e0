/** What the engine asks of every kind of database. */

import type { Query } from '../driver.ts';
import type { Config } from '../store.ts';
import type { ConnectionUrl } from '../target.ts';

/** What statements are for. */
export type Purpose = 'creation' | 'revocation' | 'rollback' | 'renewal' | 'rotation';

/** What stands for the placeholders of statements, under their names. */
export type Values = Readonly<Record<string, string>> & { readonly username: string };

export interface DatabaseKind {
  /** What accounts are called where the connection says nothing of its own. */
  readonly usernameTemplate: string;
  /** Where the database is. @throws Failure database.config */
  address(config: Config): ConnectionUrl;
  /** Refuses statements that could not be used. @throws Failure database.statements, database.role */
  check(purpose: Purpose, written: readonly string[]): void;
  /** Asks something that every login may ask. */
  probe(query: Query): Promise<void>;
  /** Whether there is such an account. */
  exists(query: Query, username: string): Promise<boolean>;
  /**
   * Does what the statements say, or what is usual for the purpose where there are none: so a role without renewal
   * statements is renewed all the same. Taking an account away without statements is `shut` and `drop`.
   */
  perform(query: Query, purpose: Purpose, written: readonly string[], values: Values): Promise<void>;
  /** Closes the account to new logins and ends its sessions. Nothing to do where there is none. */
  shut(query: Query, username: string): Promise<void>;
  /** Takes the account away with all that it was granted; what it owns goes to ours. Nothing to do where there is none. */
  drop(query: Query, username: string): Promise<void>;
}
