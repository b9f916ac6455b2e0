/**
 * Go's text/template with the functions that External Secrets users have. Stands alone: no I/O, no clock, no randomness but
 * what the caller hands in. Strings are bytes in Go; here a template's text values are byte strings (one char per byte,
 * "latin1") only at the edges of functions that need bytes; see `value.ts`.
 */
export {};
