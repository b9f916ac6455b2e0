/**
 * The same text in one piece. V8 keeps a text that was put together of others as a tree of them, for as long as it lives, also
 * within every longer text that it becomes part of: what is kept and written out again and again is walked each time, which
 * costs twenty times what copying it does.
 * @param text what is no Unicode in it (a lone surrogate) becomes U+FFFD, as it would when it is written as UTF-8
 */
export const flat = (text: string): string => Buffer.from(text).toString();
