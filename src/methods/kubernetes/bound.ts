/** Whether a name is among those that a role is bound to: exactly, or by a glob in which "*" is any run of characters. Pure. */

export const isBound = (name: string, globs: readonly string[]): boolean =>
  globs.some((glob) => matches(glob, name));

/** Linear in both lengths, so that no role makes logins slow. */
export function matches(glob: string, name: string): boolean {
  const parts = glob.split('*');
  const first = parts[0] ?? '';
  if (parts.length === 1) return glob === name;
  const last = parts.at(-1) ?? '';
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length)
    return false;
  const end = name.length - last.length;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
