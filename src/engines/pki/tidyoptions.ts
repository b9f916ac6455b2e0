/** What tidying may take away and how long after its end something stays: clocks of those who check differ. Milliseconds. */

export interface TidyOptions {
  readonly certificates: boolean;
  readonly revoked: boolean;
  readonly invalid: boolean;
  readonly associations: boolean;
  readonly expiredIssuers: boolean;
  /** Kept and told, as clients expect it: there is no older layout of storage that anything could be moved from. */
  readonly legacyBundle: boolean;
  readonly acme: boolean;
  readonly buffer: number;
  /** Of revocations; undefined: as `buffer`. */
  readonly revokedBuffer?: number;
  readonly issuerBuffer: number;
  readonly acmeAccountBuffer: number;
  /** Between one thing and the next. */
  readonly pause: number;
  /** How many are listed at once; negative: all. */
  readonly pageSize: number;
}

/** `config/auto-tidy`. */
export interface AutoTidy extends TidyOptions {
  readonly enabled: boolean;
  readonly interval: number;
  readonly maintainCounts: boolean;
  readonly publishCounts: boolean;
}

const HOUR = 3_600_000;
export const TIDY_DEFAULTS: TidyOptions = {
  certificates: false,
  revoked: false,
  invalid: false,
  associations: false,
  expiredIssuers: false,
  legacyBundle: false,
  acme: false,
  buffer: 72 * HOUR,
  issuerBuffer: 365 * 24 * HOUR,
  acmeAccountBuffer: 30 * 24 * HOUR,
  pause: 0,
  pageSize: 1000,
};
export const AUTO_TIDY_DEFAULTS: AutoTidy = {
  ...TIDY_DEFAULTS,
  enabled: false,
  interval: 12 * HOUR,
  maintainCounts: false,
  publishCounts: false,
};

export const isAnything = (options: TidyOptions): boolean =>
  options.certificates ||
  options.revoked ||
  options.invalid ||
  options.associations ||
  options.expiredIssuers ||
  options.legacyBundle ||
  options.acme;

/** As the messages of the API name what can be tidied. */
export const TIDY_TARGETS =
  'tidy_cert_store / tidy_revoked_certs / tidy_invalid_certs / tidy_revoked_cert_issuer_associations / tidy_expired_issuers / tidy_move_legacy_ca_bundle / tidy_acme';
