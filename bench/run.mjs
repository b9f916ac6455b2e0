// `npm run bench -- NAME`: runs one benchmark against the built program and exits 1 when a claim of it does not hold.

import { propagation } from './propagation.mjs';

const benches = new Map([['propagation', propagation]]);

const [name, ...rest] = process.argv.slice(2);
const bench = benches.get(name ?? '');
if (bench === undefined || rest.length > 0) {
  process.stderr.write(`npm run bench -- NAME\n\nNAME is one of: ${[...benches.keys()].join(', ')}\n`);
  process.exit(2);
}
process.exitCode = (await bench()) ? 0 : 1;
