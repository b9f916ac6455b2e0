/** The client of Redis, by name: loaded as the package that it is, it would have no names in the built program (CommonJS). */

export { createClient } from '@redis/client';
