/** `rch version`. */
import { ok } from '../base/result.ts';
import type { Context, Outcome } from './report.ts';

export function version({ version: own, layout }: Context): Outcome {
  const facts = { version: own, home: layout.home, node: process.version };
  return ok({ facts, text: () => `rch ${own} (node ${process.version}, ${layout.home})` });
}
