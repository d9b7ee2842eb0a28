/** What happens when a command that should have gone to a worker runs here: the user's hook, beside the command. */
import type { Logger } from 'pino';
import { runHook } from '../exec/user-hook.ts';
import type { History } from '../journal/history.ts';
import type { JournalLine } from '../journal/record.ts';
import { brokenReason, type Settings } from './settings.ts';

export type FallbackParts = {
  readonly settings: Settings;
  readonly history: History;
  readonly logger: Logger;
};

const raw = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** The environment of this process, for a caller whose own is not known any more. */
function ownEnvironment(): Map<string, string> {
  return new Map(Object.entries(process.env).map(([name, value = '']) => [name, raw(value)]));
}

export class Fallbacks {
  readonly #parts: FallbackParts;
  readonly #stop = new AbortController();

  constructor(parts: FallbackParts) {
    this.#parts = parts;
  }

  /** Runs hooks.on_fallback; what goes wrong is written down with the command. `env` is latin1. */
  fell(line: JournalLine, env: ReadonlyMap<string, string> = ownEnvironment()): void {
    const { settings, history, logger } = this.#parts;
    const folder = line.project === '' ? raw(line.cwd) : line.project;
    const outcome = settings.forProject(folder);
    if (!outcome.ok) {
      logger.warn(brokenReason(outcome));
      return;
    }
    const { onFallback, timeoutSec } = outcome.value.config.hooks;
    if (onFallback.trim() === '') return;
    void runHook({
      hook: 'on_fallback',
      command: onFallback,
      cwd: folder,
      env,
      facts: {
        JOB: line.id,
        COMMAND: raw(line.command),
        CWD: raw(line.cwd),
        PROJECT: folder,
        REASON: raw(line.reason),
      },
      limit: timeoutSec * 1000,
      signal: this.#stop.signal,
    }).then((trouble) => {
      if (trouble === '') return;
      // What it printed is for `rch why` alone.
      logger.warn({ job: line.id }, 'hook on_fallback did not end well');
      const now = history.find(line.id) ?? line;
      history.record({ ...now, hooks: [...(now.hooks ?? []), `on_fallback: ${trouble}`] });
    });
  }

  /** Ends what still runs. */
  stop(): void {
    this.#stop.abort();
  }
}
