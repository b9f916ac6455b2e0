/** Addresses and the networks they may come from. No I/O; text that is no address is in no network. */

/** Whether `address` lies in one of the networks; none given: anywhere. An entry without "/" is one address. */
export function inCidrs(address: string, cidrs: readonly string[]): boolean {
  if (cidrs.length === 0) return true;
  const bytes = addressBytes(address);
  return bytes !== undefined && cidrs.some((cidr) => inCidr(bytes, cidr));
}

/** Whether the text is a network or an address. */
export function isCidr(text: string): boolean {
  const [host = '', size, rest] = text.split('/');
  const bytes = addressBytes(host);
  if (bytes === undefined || rest !== undefined) return false;
  return size === undefined || (/^\d{1,3}$/.test(size) && Number(size) <= bytes.length * 8);
}

function inCidr(address: readonly number[], cidr: string): boolean {
  if (!isCidr(cidr)) return false;
  const [host = '', size] = cidr.split('/');
  const network = addressBytes(host) ?? [];
  if (network.length !== address.length) return false;
  let bits = size === undefined ? network.length * 8 : Number(size);
  for (const [index, byte] of network.entries()) {
    if (bits <= 0) return true;
    const mask = bits >= 8 ? 0xff : (0xff << (8 - bits)) & 0xff;
    if (((byte ^ (address[index] ?? 0)) & mask) !== 0) return false;
    bits -= 8;
  }
  return true;
}

/** 4 or 16 bytes; an IPv4 address inside IPv6 (::ffff:10.0.0.1) is the IPv4 address that it is. */
export function addressBytes(text: string): readonly number[] | undefined {
  const plain = text.replace(/%.*$/, '');
  if (!plain.includes(':')) return v4Bytes(plain);
  let v6 = plain;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(plain);
  if (dotted !== null) {
    const [a = 0, b = 0, c = 0, d = 0] = v4Bytes(dotted[2] ?? '') ?? [Number.NaN];
    if (Number.isNaN(a)) return undefined;
    v6 = `${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const halves = v6.split('::');
  if (halves.length > 2) return undefined;
  const groups = (half: string | undefined): string[] =>
    half === undefined || half === '' ? [] : half.split(':');
  const head = groups(halves[0]);
  const tail = groups(halves[1]);
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...new Array<string>(missing).fill('0'), ...tail];
  if (!all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  const bytes = all.flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return mapped ? bytes.slice(12) : bytes;
}

function v4Bytes(text: string): readonly number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined;
  return parts.map(Number);
}
