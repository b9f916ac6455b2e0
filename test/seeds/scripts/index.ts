import { demo } from './demo.ts';
import { guide } from './guide.ts';
import { overview } from './overview.ts';
import type { Script } from './script.ts';

/** In the order of the documents. */
export const scripts: readonly Script[] = [demo, overview, guide];
