/** The configuration as the files say now: looked at by stat at most once a second, read when they changed. */
import { statSync } from 'node:fs';
import { configFile, demoMark, workersFile, type Layout } from '../../src/base/layout.ts';
import {
  loadConfig,
  projectConfigFile,
  systemConfigFile,
  type ConfigOutcome,
} from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';

/** ms that a look at the files holds. */
const FRESH = 1000;
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

type Look = { readonly at: number; readonly stamp: string; readonly outcome: ConfigOutcome };

export class Settings {
  readonly #layout: Layout;
  readonly #environment: { readonly HOME: string | undefined };
  readonly #files: readonly string[];
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
    this.#files = [demoMark(layout), systemConfigFile, configFile(layout), workersFile(layout)];
    this.#onChange = onChange;
    this.#base = this.#read();
  }

  /** What holds for every request. */
  current(): ConfigOutcome {
    if (performance.now() - this.#base.at < FRESH) return this.#base.outcome;
    const stamp = stampsOf(this.#files);
    if (stamp === this.#base.stamp) {
      this.#base = { ...this.#base, at: performance.now() };
      return this.#base.outcome;
    }
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
    const known = this.#projects.get(folder);
    if (known !== undefined && performance.now() - known.at < FRESH) return known.outcome;
    const stamp = stampsOf([projectConfigFile(textOf(folder))]);
    const outcome = stamp === '-' ? base : this.#ofProject(folder, stamp, known);
    this.#projects.delete(folder);
    this.#projects.set(folder, { at: performance.now(), stamp, outcome });
    if (this.#projects.size > MOST_PROJECTS) {
      const oldest = this.#projects.keys().next();
      if (oldest.done !== true) this.#projects.delete(oldest.value);
    }
    return outcome;
  }

  get files(): readonly string[] {
    return this.#files.slice(2);
  }

  #ofProject(folder: string, stamp: string, known: Look | undefined): ConfigOutcome {
    if (known?.stamp === stamp) return known.outcome;
    return loadConfig(this.#layout, this.#environment, textOf(folder));
  }

  #read(): Look {
    const stamp = stampsOf(this.#files);
    const outcome = loadConfig(this.#layout, this.#environment);
    return { at: performance.now(), stamp, outcome };
  }
}

/** Why everything is local, in one line with file and line: for `rch why` and the answer. */
export function brokenReason(outcome: Extract<ConfigOutcome, { ok: false }>): string {
  const first = outcome.failure.reason.split('\n', 1)[0] ?? '';
  return `everything is local, because ${first}`;
}

/** What a link is configured by: when it changes, the link is made anew. */
export function linkKey(config: Config, id: string): string {
  const worker = config.workers.find((each) => each.id === id);
  const { heartbeatIntervalSec } = config.daemon;
  return JSON.stringify([
    ...[worker, config.transfer, config.store, config.execution],
    heartbeatIntervalSec,
  ]);
}
