/** The configuration as the files say now: looked at by stat when it is asked for, read when they changed. */
import { statSync } from 'node:fs';
import {
  configFile,
  demoMark,
  trustFile,
  workersFile,
  type Layout,
} from '../../src/base/layout.ts';
import {
  loadConfig,
  projectConfigFile,
  systemConfigFile,
  type ConfigOutcome,
} from '../../src/config/load.ts';
import type { Problem } from '../../src/config/problems.ts';
import type { Config } from '../../src/config/schema.ts';
import type { WorkerConfig } from '../../src/config/worker-schema.ts';
import { helloOf, mannersOf } from '../lifecycle/hello.ts';

/** ms that a look at the files holds: less than it takes to edit one and then to run a command. */
const FRESH = 20;
/** ms that a file must have stood still before it is read anew. */
const RESTING = 10;
/** The same where it was emptied in place: nobody means that as often as they are about to write it. */
const EMPTIED = 1000;
/** Projects whose own files are remembered. */
const MOST_PROJECTS = 500;

function stampOf(file: string): string {
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? '-' : `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}

const textOf = (raw: string): string => Buffer.from(raw, 'latin1').toString('utf8');

function stampsOf(files: readonly string[]): string {
  return files
    .map((file) => {
      try {
        return stampOf(file);
      } catch {
        return '?';
      }
    })
    .join('|');
}

/**
 * Whether somebody may be in the middle of writing a file whose stamp was another before: a new one grows, and one that is
 * written in place (`cat >`) is empty at first.
 */
function isBeingWritten(file: string, before: string): boolean {
  try {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return false;
    const age = Date.now() - stat.mtimeMs;
    const emptied = stat.size === 0 && before.startsWith(`${stat.ino} `);
    return age >= 0 && age < (emptied ? EMPTIED : RESTING);
  } catch {
    return false;
  }
}

/** What is to be told of a project's own file. */
export type ProjectTrouble = {
  /** UTF-8. */
  readonly file: string;
  readonly problems: readonly Problem[];
  /** Keys that wait for `rch trust`. */
  readonly untrusted: readonly string[];
};

function troubleOf(folder: string, outcome: ConfigOutcome): ProjectTrouble | undefined {
  const file = projectConfigFile(textOf(folder));
  const problems = outcome.ok
    ? []
    : outcome.failure.problems.filter((problem) => problem.file === file);
  const untrusted = outcome.ok ? outcome.value.config.project.untrusted : [];
  return problems.length + untrusted.length > 0 ? { file, problems, untrusted } : undefined;
}

type Look = { readonly at: number; readonly stamp: string; readonly outcome: ConfigOutcome };

export class Settings {
  readonly #layout: Layout;
  readonly #environment: { readonly HOME: string | undefined };
  /** Where workers are written down, as the last good configuration says. */
  #workersFile: string;
  readonly #onChange: (outcome: ConfigOutcome) => void;
  readonly #projects = new Map<string, Look>();
  #base: Look;

  /** `onChange` is called when the files say something new, good or bad; not for the first reading. */
  constructor(
    layout: Layout,
    home: string | undefined,
    onChange: (outcome: ConfigOutcome) => void,
  ) {
    this.#layout = layout;
    this.#environment = { HOME: home };
    this.#workersFile = workersFile(layout);
    this.#onChange = onChange;
    this.#base = this.#read();
  }

  /** What holds for every request. */
  current(): ConfigOutcome {
    if (performance.now() - this.#base.at < FRESH) return this.#base.outcome;
    const { stamp, outcome } = this.#base;
    const now = stampsOf(this.#watched);
    if (now === stamp) {
      this.#base = { stamp, outcome, at: performance.now() };
      return outcome;
    }
    const before = stamp.split('|');
    const changed = now.split('|').map((each, at) => each !== before[at]);
    const isUnfinished = (file: string, at: number): boolean =>
      changed[at] === true && isBeingWritten(file, before[at] ?? '');
    if (this.#watched.some(isUnfinished)) return outcome;
    return this.reload();
  }

  /** Reads the files now. */
  reload(): ConfigOutcome {
    this.#base = this.#read();
    this.#projects.clear();
    this.#onChange(this.#base.outcome);
    return this.#base.outcome;
  }

  /** What holds in a project, by its own file too; `folder` is latin1, as paths of requests are. */
  forProject(folder: string): ConfigOutcome {
    const base = this.current();
    if (!base.ok) return base;
    const look = this.#lookAt(folder, base);
    this.#projects.delete(folder);
    this.#projects.set(folder, look);
    if (this.#projects.size > MOST_PROJECTS) {
      const oldest = this.#projects.keys().next();
      if (oldest.done !== true) this.#projects.delete(oldest.value);
    }
    return look.outcome;
  }

  get files(): readonly string[] {
    return [configFile(this.#layout), this.#workersFile];
  }

  /** What is wrong with the files of projects that were built in of late, or waits in them. */
  get troubles(): ProjectTrouble[] {
    const base = this.current();
    return [...this.#projects].flatMap(([folder, known]) => {
      if (!base.ok || troubleOf(folder, known.outcome) === undefined) return [];
      // It may be mended, or trusted, without a command there since.
      const look = this.#lookAt(folder, base);
      this.#projects.set(folder, look);
      return troubleOf(folder, look.outcome) ?? [];
    });
  }

  get #watched(): readonly string[] {
    return [demoMark(this.#layout), systemConfigFile, ...this.files];
  }

  #lookAt(folder: string, base: ConfigOutcome): Look {
    const known = this.#projects.get(folder);
    if (known !== undefined && performance.now() - known.at < FRESH) return known;
    const file = stampsOf([projectConfigFile(textOf(folder))]);
    const stamp = `${file}|${stampsOf([trustFile(this.#layout)])}`;
    return { at: performance.now(), stamp, outcome: this.#ofProject(folder, stamp, base) };
  }

  #ofProject(folder: string, stamp: string, base: ConfigOutcome): ConfigOutcome {
    const known = this.#projects.get(folder);
    if (stamp.startsWith('-|')) return base;
    if (known?.stamp === stamp) return known.outcome;
    return loadConfig(this.#layout, this.#environment, textOf(folder));
  }

  #read(): Look {
    const before = stampsOf(this.#watched);
    const outcome = loadConfig(this.#layout, this.#environment);
    const { workersFile: now } = outcome.ok ? outcome.value : { workersFile: this.#workersFile };
    // A file that nobody watched until now may have changed meanwhile: the next look reads it again.
    const stamp = now === this.#workersFile ? before : '';
    this.#workersFile = now;
    return { at: performance.now(), stamp, outcome };
  }
}

/** Why everything is local, in one line with file and line: for `rch why` and the answer. */
export function brokenReason(outcome: Extract<ConfigOutcome, { ok: false }>): string {
  const first = outcome.failure.reason.split('\n', 1)[0] ?? '';
  return `everything is local, because ${first}`;
}

/** What a link is configured by: when it changes, another takes over from it. */
export function linkKey(worker: WorkerConfig, config: Config): string {
  const seen = { ...worker, priority: undefined, tags: undefined };
  return JSON.stringify([seen, helloOf('', worker, config), mannersOf(worker, config)]);
}

/**
 * Where a link's jobs run: when it changes, no other link can take them over. An embedded worker's agent ends with its
 * link.
 */
export function placeKey(worker: WorkerConfig, config: Config): string {
  const { transport, host, user, port, command, enabled } = worker;
  if (transport === 'embedded') return linkKey(worker, config);
  return JSON.stringify([transport, host, user, port, command, enabled]);
}
