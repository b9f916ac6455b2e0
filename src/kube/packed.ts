/**
 * Objects in little memory. Ten thousand objects of one kind differ in a few texts only: names, times, versions. So an object
 * is kept as what it has alone, in one string, and the frame around that, which all objects of its form share. Parsed, the
 * same object is some twenty pieces on the heap, each of which every collection of garbage has to visit.
 */

import type { KubeObject } from './kube.ts';

/** The JSON of an object without its texts and numbers. */
interface Frame {
  /** What stands between them, and so one piece more than there are of them. */
  readonly pieces: readonly string[];
  readonly text: string;
  /** How many objects are in it. */
  users: number;
}

export interface Packed {
  readonly frame: Frame;
  /** Texts and numbers as JSON writes them, a line each: no line break stands in either. */
  readonly leaves: string;
}

const BREAK = '\n';
/** A text, with the colon where it is a member's name; or a number. The loop is unrolled: a text may be a megabyte. */
const TEXT_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*":?|-?\d[\d.eE+-]*/g;

/** The frames of a cache: each lives for as long as an object is in it. */
export class Packer {
  readonly #frames = new Map<string, Frame>();

  /** How many different frames there are. */
  get frames(): number {
    return this.#frames.size;
  }

  /** What `unpack` makes the same object of; members that are undefined are left out. To be released when it is dropped. */
  pack(object: KubeObject): Packed {
    const leaves: string[] = [];
    const text = JSON.stringify(object).replace(TEXT_OR_NUMBER, (found) => {
      if (found.endsWith(':')) return found;
      leaves.push(found);
      return BREAK;
    });
    const frame = this.#frames.get(text) ?? { pieces: text.split(BREAK), text, users: 0 };
    if (frame.users === 0) this.#frames.set(text, frame);
    frame.users++;
    return { frame, leaves: leaves.join(BREAK) };
  }

  /** Says that a packed object is dropped: a frame that nobody is in is forgotten. */
  release({ frame }: Packed): void {
    frame.users--;
    if (frame.users === 0) this.#frames.delete(frame.text);
  }
}

/** A copy of its own: who changes it changes nothing else. */
export function unpack({ frame: { pieces }, leaves }: Packed): KubeObject {
  const found = leaves.split(BREAK);
  let text = pieces[0] ?? '';
  for (let at = 1; at < pieces.length; at++) text += (found[at - 1] ?? '') + pieces[at];
  return JSON.parse(text) as KubeObject;
}
