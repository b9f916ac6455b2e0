/** What Azure's official clients are given by a seal. */

import { carrier } from '../../azure/transport.ts';
import type { Ask } from './ask.ts';

const TIMEOUT_MS = 5000;

/** The part of the clients' options that both kinds have. The server itself asks again where that is worth it. */
export const azureOptions = (ask: Ask, see?: Parameters<typeof carrier>[1]) => ({
  httpClient: carrier((request) => ask({ ...request, timeoutMs: TIMEOUT_MS }), see),
  retryOptions: { maxRetries: 0 },
});
