/**
 * `spec.syncWindows`: when periodic refreshes may happen. Five-field cron in UTC, or a descriptor such as @daily; each
 * start opens the window for its duration. A schedule that cannot be read opens nothing, as upstream has it.
 */

import { parseCron } from '../../../../base/cron.ts';
import { parseDuration } from '../../../../base/duration.ts';
import type { ExternalSecretSpec } from '../../../api/externalsecret.ts';

/** No window is longer. */
const LONGEST_MS = 7 * 86_400_000;

/** Whether a periodic refresh may happen at `now`. No windows: always. */
export function windowsAllow(windows: ExternalSecretSpec['syncWindows'], now: Date): boolean {
  if (windows === undefined) return true;
  const open = windows.windows.some(({ schedule, duration }) => isOpen(schedule, duration, now));
  return windows.kind === 'allow' ? open : !open;
}

function isOpen(schedule: string, duration: string, now: Date): boolean {
  const cron = parseCron(schedule);
  const length = safeDuration(duration);
  if (cron === undefined || length <= 0) return false;
  const start = cron.previous(now.getTime());
  return start !== undefined && now.getTime() < start + Math.min(length, LONGEST_MS);
}

function safeDuration(text: string): number {
  try {
    return parseDuration(text);
  } catch {
    return 0;
  }
}
