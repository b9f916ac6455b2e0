/** What ends by itself, and that somebody wants to be warned of before it does. */
export interface Expiring {
  /** "SecretStore/team/vault", with the namespace that it is used from where that matters. */
  readonly store: string;
  /** Milliseconds since the epoch. */
  readonly endsAt: number;
}
