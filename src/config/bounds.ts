/** How large the limits of the configuration may be, so that every timer and message holds them. */
import { z } from 'zod';

/** Seconds that a command may take; 0: no limit. A timer of Node holds 2^31 ms, and fires at once above. */
export const commandLimit = z
  .number()
  .int()
  .min(0)
  .max(20 * 86_400);

/** MB: a petabyte. */
export const MOST_MB = 1e9;

/** GB that an agent may keep. */
export const storeLimit = z
  .number()
  .positive()
  .max(MOST_MB / 1000);
