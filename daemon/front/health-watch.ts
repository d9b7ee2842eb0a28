/** Notes in the log when a worker's health changes, with the reasons. */
import type { Health } from '../lifecycle/health.ts';
import type { Worker } from './worker.ts';

function inWords(health: Health): string {
  switch (health.kind) {
    case 'healthy':
      return 'healthy';
    case 'degraded':
      return `degraded: ${health.troubles.map(({ kind }) => kind).join(', ')}`;
    case 'unreachable':
    case 'draining':
    case 'disabled':
      return health.kind;
  }
}

export class HealthWatch {
  readonly #log: (worker: string, what: string) => void;
  readonly #last = new Map<string, string>();

  constructor(log: (worker: string, what: string) => void) {
    this.#log = log;
  }

  look({ id, health }: Pick<Worker, 'id' | 'health'>): void {
    const words = inWords(health);
    if (this.#last.get(id) === words) return;
    this.#last.set(id, words);
    const why = health.kind === 'degraded' ? ` (${health.troubles[0].reason})` : '';
    this.#log(id, `it is ${words}${why}`);
  }
}
