export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** What `holdfast dev` was asked for. */
export interface DevOptions {
  /** The folder of config.toml, secrets.yaml and manifests/; absent: the repository's own example. */
  readonly dir: string | undefined;
  readonly once: boolean;
  readonly data: string | 'memory' | undefined;
  readonly address: HostPort | undefined;
  readonly kubeAddress: HostPort | undefined;
  /** "host:port" -> where it is found. */
  readonly resolve: ReadonlyMap<string, HostPort>;
  readonly randomValues: boolean;
  readonly timeoutMs: number;
}
