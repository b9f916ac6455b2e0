/** Accounts (RFC 8555 section 7.3): made, found by their key, changed, given another key. */

import { base64url } from '../../../base/bytes.ts';
import { isFailure } from '../../../base/errors.ts';
import type { Mount } from '../../../plugin/plugin.ts';
import type { PkiStore } from '../store.ts';
import { bindingOf } from './eab.ts';
import { ALGORITHMS, membersOf, readEnvelope, readHeader, readKey, type SignerKey, verified } from './jws.ts';
import {
  ACCOUNT_BURST,
  ACCOUNTS_PER_HOUR,
  Bucket,
  limited,
  MOST_ACCOUNTS,
  MOST_CONTACT_LENGTH,
  MOST_CONTACTS,
} from './limits.ts';
import type { Directory } from './policy.ts';
import { AcmeError } from './problem.ts';
import type { Account } from './records.ts';

const malformed = (detail: string): AcmeError => new AcmeError('malformed', detail);
const unauthorized = (detail: string): AcmeError => new AcmeError('unauthorized', detail);

const HOUR = 3_600_000;

export const accountUrl = ({ url }: Pick<Directory, 'url'>, id: string): string => `${url}account/${id}`;

/** One key may have an account in each directory: each is a server of its own to its clients. */
const keyName = (directory: string, thumbprint: string): string =>
  `${base64url(Buffer.from(directory))}.${thumbprint}`;

export class Accounts {
  readonly #store: PkiStore;
  readonly #rate: Bucket;
  /** How many there are; undefined until they were counted. */
  #count: number | undefined;

  constructor(mount: Mount, store: PkiStore) {
    this.#store = store;
    this.#rate = new Bucket(mount.clock, ACCOUNT_BURST, ACCOUNTS_PER_HOUR);
  }

  /** The account that a `kid` names. @throws AcmeError where it is none of this directory */
  async named(directory: Directory, kid: string): Promise<Account> {
    const base = accountUrl(directory, '');
    const id = kid.startsWith(base) ? kid.slice(base.length) : '';
    // A kid is an address of this directory in full: one that only ends like it may be of another server or mount.
    if (!/^[0-9a-f-]{36}$/.test(id)) throw malformed("'kid' is no account URL of this directory");
    const account = await this.#store.get('acme/account', id);
    if (account === undefined || account.directory !== directory.path)
      throw new AcmeError('accountDoesNotExist', 'account not found');
    return account;
  }

  /** @throws AcmeError unauthorized, externalAccountRequired where it may do nothing (any more) */
  checkUsable(directory: Directory, account: Account): void {
    if (account.status !== 'valid') throw unauthorized(`account in status: ${account.status}`);
    if (directory.settings.eabPolicy === 'always-required' && account.eab === '')
      throw new AcmeError(
        'externalAccountRequired',
        'the account was made without an external account binding',
      );
  }

  /** The account of a key in this directory, or undefined. */
  async ofKey(directory: Directory, thumbprint: string): Promise<Account | undefined> {
    const found = await this.#store.get('acme/thumbprint', keyName(directory.path, thumbprint));
    return found && this.#store.get('acme/account', found.account);
  }

  /**
   * Makes an account, or gives the one that the key has. @param binding `externalAccountBinding` as it was sent
   * @throws AcmeError
   */
  async create(
    directory: Directory,
    key: SignerKey,
    contact: readonly string[],
    binding: unknown,
  ): Promise<{ readonly account: Account; readonly existed: boolean }> {
    const bound = binding === undefined ? undefined : await bindingOf(this.#store, directory, key, binding);
    if (bound === undefined && directory.settings.eabPolicy !== 'not-required')
      throw new AcmeError(
        'externalAccountRequired',
        "the request must include a value for the 'externalAccountBinding' field",
      );
    const count = await this.#counted();
    if (bound === undefined) {
      if (count >= MOST_ACCOUNTS) throw limited('accounts', HOUR);
      this.#rate.take('new accounts');
    }
    const account: Account = {
      id: this.#store.newId(),
      directory: directory.path,
      status: 'valid',
      contact: checkedContact(contact),
      jwk: key.jwk,
      thumbprint: key.thumbprint,
      created: this.#store.now(),
      ended: 0,
      busyUntil: 0,
      eab: bound?.eab.id ?? '',
    };
    const name = keyName(directory.path, key.thumbprint);
    try {
      // The binding goes in the same commit: it makes one account, whoever else tries at the same moment.
      await this.#store.commit(
        [
          this.#store.written('acme/account', account.id, account),
          this.#store.written('acme/thumbprint', name, { account: account.id }),
          ...(bound === undefined ? [] : [this.#store.gone('acme/eab', bound.eab.id)]),
        ],
        [this.#store.absent('acme/thumbprint', name), ...(bound === undefined ? [] : [bound.check])],
      );
    } catch (error) {
      if (!isFailure(error, 'storage.conflict')) throw error;
      const other = await this.ofKey(directory, key.thumbprint);
      if (other === undefined) throw unauthorized('the external account binding was already used');
      return { account: other, existed: true };
    }
    this.#count = count + 1;
    return { account, existed: false };
  }

  /** Changes contacts, or ends the account for good (section 7.3.6). */
  async update(
    account: Account,
    asked: { readonly contact?: readonly string[] | undefined; readonly deactivate: boolean },
  ): Promise<Account> {
    const contact = asked.contact === undefined ? undefined : checkedContact(asked.contact);
    const after = await this.#store.change('acme/account', account.id, (before) => ({
      ...before,
      contact: contact ?? before.contact,
      ...(asked.deactivate && before.status === 'valid'
        ? { status: 'deactivated' as const, ended: this.#store.now() }
        : {}),
    }));
    if (after === undefined) throw new AcmeError('accountDoesNotExist', 'account not found');
    return after;
  }

  /** Section 7.3.5: the inner request, signed by the new key, names the account and the old key. */
  async changeKey(
    directory: Directory,
    account: Account,
    outerUrl: string,
    payload: unknown,
  ): Promise<Account> {
    const inner = readEnvelope(payload);
    const header = readHeader(inner, ALGORITHMS);
    if (header.url !== outerUrl) throw malformed("the inner 'url' differs from the outer one");
    if (header.jwk === undefined || header.kid !== undefined || header.nonce !== undefined)
      throw malformed("the inner request must have a 'jwk', and neither 'kid' nor 'nonce'");
    const key = await readKey(header.jwk);
    const told = await verified(inner, header, key.key);
    const old = membersOf(told?.['oldKey']);
    if (told?.['account'] !== accountUrl(directory, account.id))
      throw malformed('the inner request names another account');
    if (old === undefined || (await readKey(old)).thumbprint !== account.thumbprint)
      throw malformed('oldKey is not the key of the account');
    const taken = await this.ofKey(directory, key.thumbprint);
    if (taken !== undefined) throw conflict(directory, taken.id);
    const name = keyName(directory.path, key.thumbprint);
    return this.#store.again(async () => {
      const found = await this.#store.entry('acme/account', account.id);
      // Somebody changed it meanwhile with the same old key: the second of two must not undo the first.
      if (found === undefined || found.value.thumbprint !== account.thumbprint)
        throw unauthorized('the key of the account was changed meanwhile');
      if ((await this.#store.get('acme/thumbprint', name)) !== undefined) throw conflict(directory, '');
      const after: Account = { ...found.value, jwk: key.jwk, thumbprint: key.thumbprint };
      await this.#store.commit(
        [
          this.#store.written('acme/account', account.id, after),
          this.#store.written('acme/thumbprint', name, { account: account.id }),
          this.#store.gone('acme/thumbprint', keyName(directory.path, account.thumbprint)),
        ],
        [found.check, this.#store.absent('acme/thumbprint', name)],
      );
      return after;
    });
  }

  /** Takes an account away with its key's entry. */
  async drop(account: Account): Promise<void> {
    await this.#store.commit([
      this.#store.gone('acme/account', account.id),
      this.#store.gone('acme/thumbprint', keyName(account.directory, account.thumbprint)),
    ]);
    if (this.#count !== undefined) this.#count -= 1;
  }

  async #counted(): Promise<number> {
    this.#count ??= (await this.#store.list('acme/account')).length;
    return this.#count;
  }
}

const conflict = (directory: Directory, id: string): AcmeError =>
  new AcmeError('malformed', 'there is an account with the new key already', {
    status: 409,
    headers: id === '' ? {} : { Location: accountUrl(directory, id) },
  });

/** Section 7.3: mail addresses alone, one in each entry. @throws AcmeError unsupportedContact, invalidContact */
function checkedContact(contact: readonly string[]): readonly string[] {
  if (contact.length > MOST_CONTACTS || contact.some(({ length }) => length > MOST_CONTACT_LENGTH))
    throw new AcmeError(
      'invalidContact',
      `at most ${MOST_CONTACTS} contacts of ${MOST_CONTACT_LENGTH} characters are kept`,
    );
  for (const one of contact) {
    if (!one.startsWith('mailto:'))
      throw new AcmeError('unsupportedContact', 'a contact must be a mailto: URL');
    if (!/^mailto:[\x21-\x7e]+@[\x21-\x7e]+$/.test(one) || /[?,]/.test(one))
      throw new AcmeError('invalidContact', 'a contact must hold one mail address, without header fields');
  }
  return contact;
}
