/** A configured certificate: an authority whose clients may log in, or one client's own; and what else is kept here. */

import { Shelf } from '../../plugin/shelf.ts';
import type { Storage } from '../../storage/storage.ts';
import { NO_TOKEN_FIELDS, type TokenFields } from '../token-fields.ts';

export interface Entry {
  /** PEM, one or more. */
  readonly certificate: string;
  readonly displayName: string;
  readonly names: readonly string[];
  readonly commonNames: readonly string[];
  readonly dnsSans: readonly string[];
  readonly emailSans: readonly string[];
  readonly uriSans: readonly string[];
  readonly units: readonly string[];
  readonly requiredExtensions: readonly string[];
  readonly metadataExtensions: readonly string[];
  readonly token: TokenFields;
}

export const NO_ENTRY: Entry = {
  certificate: '',
  displayName: '',
  names: [],
  commonNames: [],
  dnsSans: [],
  emailSans: [],
  uriSans: [],
  units: [],
  requiredExtensions: [],
  metadataExtensions: [],
  token: NO_TOKEN_FIELDS,
};

/** What is revoked: serials (hexadecimal) of one issuer (its name's DER, hexadecimal). */
export interface Crl {
  readonly issuer: string;
  readonly serials: readonly string[];
}

export interface Config {
  /** A renewal does not ask for the certificate of the login again. */
  readonly disableBinding: boolean;
  readonly enableIdentityAliasMetadata: boolean;
  readonly ocspCacheSize: number;
}

export const NO_CONFIG: Config = {
  disableBinding: false,
  enableIdentityAliasMetadata: false,
  ocspCacheSize: 100,
};

const CONFIG = 'config';

/** The mount's configuration stands beside the folders of its entries. */
const configs = (storage: Storage): Shelf<Config> => new Shelf({ storage }, '');

export const readConfig = async (storage: Storage): Promise<Config> =>
  (await configs(storage).get(CONFIG)) ?? NO_CONFIG;

export const writeConfig = (storage: Storage, config: Config): Promise<void> =>
  configs(storage).change(CONFIG, () => config);
