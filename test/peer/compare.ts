/** How two answers are compared: ids, times and secrets masked, texts of errors by what clients look for in them. */

export interface Told {
  readonly status: number;
  readonly body: unknown;
}

/** One place where two answers differ: a pointer into them, and what each side says there. */
export interface Difference {
  readonly at: string;
  readonly ours: string;
  readonly peer: string;
}

/** Clients match on these; what else an error says is for people, and each server says it in its own words. */
const MATCHED = [
  'permission denied',
  'Vault is already initialized',
  'path is already in use',
  'existing mount at',
  'plugin not found in the catalog',
  'No secret engine mount at',
  'preflight capability check returned 403',
  'wrapping token is not valid or does not exist',
  'check-and-set parameter',
  'no handler for route',
  'unsupported operation',
  'unsupported path',
  'invalid lease',
  'lease not found',
  'bad token',
  'invalid role or secret ID',
  'invalid username or password',
  'encryption key not found',
  'cannot write to a path ending in',
  'failed to parse policy',
] as const;

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
/** Members that are random, or name what is: their values are compared by type alone. */
const RANDOM =
  /^(request_id|.*accessor|client_token|token|secret_id|role_id|id|uuid|entity_id|nonce|otp|plaintext|random_bytes|hmac|signature|barcode|url|key|cluster_name|cluster_id|public_key|private_key|certificate|issuing_ca|serial_number|key_id|issuer_id|client_id|code|csr|password|.*_sha256|.*_version)$/;
const TIMED = /(time|expir|ttl|lease_duration|creation|last_)/;

export function masked(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => masked(item, name));
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value).map(([key, member]) => [maskedText(key, ''), masked(member, key)]);
    return Object.fromEntries(members.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
  }
  // Keys that were exported stand under the number of their version.
  if (typeof value === 'string') return /^\d+$/.test(name) ? `<${name}>` : maskedText(value, name);
  // Times run on between two calls: to the minute is near enough, and a moment is only a moment.
  if (typeof value === 'number' && TIMED.test(name)) return value > 1e9 ? '<moment>' : Math.round(value / 60);
  return value;
}

function maskedText(text: string, name: string): string {
  if (text === '') return text;
  if (/^\d{4}-\d\d-\d\dT/.test(text)) return '<time>';
  if (/^vault:v\d+:/.test(text)) return text.replace(/^(vault:v\d+:).*/, '$1<sealed>');
  if (RANDOM.test(name)) return `<${name}>`;
  if (text.startsWith('-----BEGIN CERTIFICATE')) return '<pem>';
  if (/^([0-9a-f]{2}:){15,}[0-9a-f]{2}$/.test(text)) return '<serial>';
  return text
    .replace(UUID, '<uuid>')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)/g, '<time>')
    .replace(/_[0-9a-f]{8}\b/g, '_<accessor>')
    .replace(/\/[A-Za-z0-9]{24}\b/g, '/<lease>')
    .replace(/OpenBao/g, 'Vault')
    .replace(/'bao /g, "'vault ")
    .trimEnd();
}

/** All places where the answers differ, statuses first. */
export function differences(ours: Told, peer: Told): readonly Difference[] {
  const statuses =
    ours.status === peer.status
      ? []
      : [{ at: 'status', ours: String(ours.status), peer: String(peer.status) }];
  return [...statuses, ...between(bodyOf(ours), bodyOf(peer), '')];
}

function bodyOf({ body }: Told): unknown {
  if (body === null || typeof body !== 'object' || Array.isArray(body))
    return body === '' ? '' : masked(body);
  const errors = (body as { errors?: unknown }).errors;
  if (!Array.isArray(errors)) return masked(body);
  const said = errors.join(' ');
  // How many errors there are, and in which words, is each server's own matter; what clients look for is not.
  return {
    ...(masked(body) as object),
    errors: errors.length === 0 ? [] : MATCHED.filter((text) => said.includes(text)),
  };
}

function between(ours: unknown, peer: unknown, at: string): readonly Difference[] {
  if (JSON.stringify(ours) === JSON.stringify(peer)) return [];
  if (isRecord(ours) && isRecord(peer)) {
    const names = [...new Set([...Object.keys(ours), ...Object.keys(peer)])];
    return names.flatMap((name) =>
      Object.hasOwn(ours, name) && Object.hasOwn(peer, name)
        ? between(ours[name], peer[name], `${at}/${name}`)
        : [{ at: `${at}/${name}`, ours: shown(ours[name]), peer: shown(peer[name]) }],
    );
  }
  if (Array.isArray(ours) && Array.isArray(peer) && ours.length === peer.length)
    return ours.flatMap((item, index) => between(item, peer[index], `${at}/${index}`));
  return [{ at: at === '' ? '/' : at, ours: shown(ours), peer: shown(peer) }];
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

const shown = (value: unknown): string =>
  value === undefined ? 'absent' : JSON.stringify(value).slice(0, 300);
