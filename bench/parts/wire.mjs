// HTTP/1.1 as a load generator needs it: a request as text, and answers cut out of a stream of chunks.

/**
 * A request as it goes over the wire. ASCII alone: it is written as Latin-1, which costs least.
 * @param body text, or a value that is sent as JSON; left out where nothing is sent
 */
export function requestText({ method = 'GET', path, token, body }) {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: bench'];
  if (token !== undefined) lines.push(`X-Vault-Token: ${token}`);
  if (body !== undefined) lines.push('Content-Type: application/json', `Content-Length: ${text.length}`);
  return `${lines.join('\r\n')}\r\n\r\n${text}`;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
const EMPTY = Buffer.alloc(0);

/** Cuts answers out of what a socket gives. `answered(status, body, head)` is called for each; the body must be used at once. */
export class AnswerReader {
  #answered;
  #rest = EMPTY;

  constructor(answered) {
    this.#answered = answered;
  }

  /** @throws Error where it is not HTTP */
  push(chunk) {
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const answer = answerAt(rest);
      if (answer === undefined) break;
      rest = rest.subarray(answer.end);
      this.#answered(answer.status, answer.body, answer.head);
    }
    this.#rest = rest;
  }
}

/** The answer that the bytes begin with; undefined while it is not whole. */
function answerAt(bytes) {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = bytes.latin1Slice(0, headEnd);
  const status = Number(head.slice(9, 12));
  if (!head.startsWith('HTTP/1.1 ') || !(status >= 100)) throw new Error(`not HTTP: ${head.slice(0, 40)}`);
  const start = headEnd + HEAD_END.length;
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const end = start + Number(length);
    return bytes.length < end ? undefined : { status, head, body: bytes.subarray(start, end), end };
  }
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
    const chunked = chunksAt(bytes, start);
    return chunked === undefined ? undefined : { status, head, ...chunked };
  }
  return { status, head, body: EMPTY, end: start };
}

function chunksAt(bytes, start) {
  const parts = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf(LINE_END, at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.latin1Slice(at, lineEnd), 16);
    if (!(size >= 0)) throw new Error('not a chunk of HTTP');
    const data = lineEnd + LINE_END.length;
    at = data + size + LINE_END.length;
    if (bytes.length < at) return undefined;
    if (size === 0) return { body: parts.length === 1 ? parts[0] : Buffer.concat(parts), end: at };
    parts.push(bytes.subarray(data, data + size));
  }
}
