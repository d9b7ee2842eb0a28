/** What the log says of commands: no arguments, no environment; `rch why JOB` has the rest. */
import type { Logger } from 'pino';
import type { JournalLine } from '../journal/record.ts';
import { commandWords, reasonWords } from '../journal/words.ts';
import type { EndKind, JobWatcher } from './job-watcher.ts';

function factsOf(line: JournalLine): Record<string, unknown> {
  return {
    job: line.id,
    ...(line.worker === null ? {} : { worker: line.worker }),
    command: commandWords(line),
    ...(line.name === undefined ? {} : { name: line.name }),
  };
}

function endFacts({ exit, signal, phases, bytes }: JournalLine): Record<string, unknown> {
  const ms = Object.fromEntries(
    Object.entries(phases).map(([name, value = 0]) => [name, Math.round(value)]),
  );
  return {
    ...(exit === null ? {} : { exit }),
    ...(signal === null ? {} : { signal }),
    ms,
    ...(bytes.sent + bytes.received + bytes.output === 0 ? {} : { bytes }),
  };
}

/** The level of an end, and the words for it. */
function wordsOf(line: JournalLine, how: EndKind): ['info' | 'warn' | 'error', string] {
  switch (how) {
    case 'exited':
      return ['info', 'ended there'];
    case 'signaled':
      return ['info', 'died there of a signal'];
    case 'execHere':
      return ['info', 'built there, its program runs here'];
    case 'again':
      return ['warn', `came back before its start: ${reasonWords(line)}`];
    case 'cancelled':
    case 'inLine':
      return ['info', 'cancelled'];
    case 'abandoned':
      return ['info', reasonWords(line)];
    case 'timedOut':
      return ['info', `was ended: ${reasonWords(line)}`];
    case 'lost':
      return ['error', `lost: ${reasonWords(line)}`];
    case 'here':
      return ['info', 'ended here'];
  }
}

export function jobLog(logger: Logger): JobWatcher {
  return {
    decided: (line, { light, fallback }) => {
      const level = fallback !== undefined ? 'warn' : light ? 'debug' : 'info';
      if (!logger.isLevelEnabled(level)) return;
      const reason = reasonWords(line);
      const words =
        line.decision === 'remote'
          ? `goes to ${line.worker ?? 'a worker'}: ${reason}`
          : `runs here: ${reason}`;
      logger[level](factsOf(line), words);
    },
    ended: (line, how) => {
      const [level, words] = wordsOf(line, how);
      if (logger.isLevelEnabled(level))
        logger[level]({ ...factsOf(line), ...endFacts(line) }, words);
    },
  };
}
