/** The client of MySQL, by name: loaded as the package that it is, it would have no names in the built program (CommonJS). */

export { createPool } from 'mysql2/promise';
