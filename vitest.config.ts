import { defineConfig } from 'vitest/config';

// `npm test`: everything that needs nothing but npm. Real servers and faults have their own configurations.
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/{arch,compat,scripts,seeds}/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
