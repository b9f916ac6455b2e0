// One thread that bcrypt runs on: hashers.ts starts it and sends it one job at a time. It is plain JavaScript because it is
// loaded by its place, in a checkout as in the built program, where it lies beside the chunks as holdfast-hasher.js.

import { parentPort } from 'node:worker_threads';
import { compareSync, hashSync } from 'bcryptjs';

parentPort?.on('message', ({ password, rounds, against }) => {
  const value = against === undefined ? hashSync(password, rounds) : compareSync(password, against);
  parentPort?.postMessage(value);
});
