import { defineConfig } from 'vitest/config';

// `npm run test:real`: the same suites against what this machine really has; each skip prints its reason.
export default defineConfig({
  test: {
    include: ['test/real/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
