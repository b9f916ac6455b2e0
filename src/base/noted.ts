/**
 * Of what never changes and comes up again and again: room on the object itself for what somebody works out of it. In a map by
 * object, each look-up would go far. Under a symbol, which neither JSON nor a message to another thread takes along.
 */
export const NOTES = Symbol('what was worked out of it');

export interface Noted {
  [NOTES]?: unknown;
}
