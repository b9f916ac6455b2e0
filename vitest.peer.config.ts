import { defineConfig } from 'vitest/config';

// `npm run test:peer`: the same requests to our server and to an upstream one, and what differs between their answers.
export default defineConfig({
  test: {
    include: ['test/peer/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
