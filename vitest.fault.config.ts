import { defineConfig } from 'vitest/config';

// `npm run test:fault`: kill, cut and corrupt. Runs one file at a time, because each one owns the machine.
export default defineConfig({
  test: {
    include: ['test/fault/**/*.test.ts'],
    testTimeout: 900_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
});
