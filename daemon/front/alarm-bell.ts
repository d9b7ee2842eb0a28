/** Tells the user, once, when commands for workers run here more and more, or are lost there. */
import type { Logger } from 'pino';
import type { JournalLine } from '../journal/record.ts';
import { reasonWords } from '../journal/words.ts';
import {
  alarmsAt,
  alarmTexts,
  fared,
  quiet,
  unsaid,
  type AlarmKind,
  type Alarms,
  type Fate,
} from '../lifecycle/alarm.ts';
import type { EndKind, JobWatcher } from './job-watcher.ts';

function fateOf(how: EndKind): Fate | undefined {
  switch (how) {
    case 'exited':
    case 'signaled':
    case 'execHere':
    case 'timedOut':
      return 'there';
    case 'lost':
      return 'lost';
    case 'again':
    case 'cancelled':
    case 'abandoned':
    case 'here':
    case 'inLine':
      return undefined;
  }
}

export class AlarmBell implements JobWatcher {
  readonly #logger: Logger;
  #alarms: Alarms = quiet;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  readonly decided: JobWatcher['decided'] = (line, { fallback }) => {
    if (fallback !== undefined) this.#fared('here', line);
  };

  readonly ended: JobWatcher['ended'] = (line, how) => {
    const fate = fateOf(how);
    if (fate !== undefined) this.#fared(fate, line);
  };

  /** What is wrong now, for `rch status`. */
  notices(): { kind: AlarmKind; text: string }[] {
    this.#alarms = alarmsAt(this.#alarms, performance.now());
    return alarmTexts(this.#alarms);
  }

  /** A line for whoever can read it now: what nobody was told of yet; '' when there is nothing. */
  say(): string {
    const now = this.notices();
    const { kinds, said } = unsaid(this.#alarms);
    if (kinds.length === 0) return '';
    this.#alarms = said;
    const texts = now.filter(({ kind }) => kinds.includes(kind)).map(({ text }) => text);
    return `rch: ${texts.join('; ')} (rch status)`;
  }

  #fared(fate: Fate, line: JournalLine): void {
    const before = this.#alarms.raised;
    const reason = reasonWords(line);
    this.#alarms = fared(this.#alarms, { at: performance.now(), fate, reason });
    for (const { kind, text } of alarmTexts(this.#alarms))
      if (before[kind] === undefined) this.#logger.warn({ alarm: kind }, text);
  }
}
