/** A user: what the password must be, and what a login gets. */

import type { Mount } from '../../plugin/plugin.ts';
import { Shelf } from '../../plugin/shelf.ts';
import type { TokenFields } from '../token-fields.ts';

export interface User {
  /** bcrypt. Never told to anybody. */
  readonly passwordHash: string;
  readonly token: TokenFields;
}

export const usersOf = (mount: Pick<Mount, 'storage'>): Shelf<User> => new Shelf(mount, 'user/');
