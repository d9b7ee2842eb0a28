/**
 * What a link has to say to the daemon's log: lines go to the front, which writes them. Nothing a command is given or
 * says goes in: no arguments, no environment, no output.
 */
import { logLevels, type LogLevel } from '../../src/base/log-levels.ts';
import type { LinkToFront } from '../../src/protocol/ipc.ts';

const rank = (level: LogLevel): number => logLevels.indexOf(level);

type Line = Extract<LinkToFront, { type: 'log' }>;

/** The line on a message to the front that is about a job; undefined for all others. */
function lineOf(message: LinkToFront): Omit<Line, 'type'> | undefined {
  switch (message.type) {
    case 'phase':
      return { level: 'debug', job: message.job, what: message.phase };
    case 'joined': {
      const what = message.to === '' ? 'runs for itself after all' : `waits for job ${message.to}`;
      return { level: 'debug', job: message.job, what };
    }
    case 'done':
      return { level: 'debug', job: message.job, what: `over: ${message.outcome.kind}` };
    default:
      return undefined;
  }
}

export class LinkLog {
  readonly #tell: (message: LinkToFront) => void;
  #least: number;

  constructor(level: LogLevel, tell: (message: LinkToFront) => void) {
    this.#least = rank(level);
    this.#tell = tell;
  }

  /** From now on the front wants no lines below this level. */
  set level(level: LogLevel) {
    this.#least = rank(level);
  }

  say(level: LogLevel, what: string, job?: string): void {
    if (rank(level) < this.#least) return;
    this.#tell({ type: 'log', level, what, ...(job === undefined ? {} : { job }) });
  }

  readonly complain = (what: string): void => {
    this.say('warn', what);
  };

  /** Complains of a job. */
  about(job: string): (what: string) => void {
    return (what) => {
      this.say('warn', what, job);
    };
  }

  /** Sends a message to the front, with a line where it is about a job. */
  readonly tell = (message: LinkToFront): void => {
    const line = lineOf(message);
    if (line !== undefined) this.say(line.level, line.what, line.job);
    if (message.type === 'recovered')
      for (const { job } of message.jobs) this.say('info', 'taken up from the link before', job);
    this.#tell(message);
  };
}
