/** Who watches (`rch top`, the web page): looks at everything a few times a second while there is anybody, and tells each what changed. */
import { Tail } from '../../src/base/tail.ts';
import type { LinkToFront } from '../../src/protocol/ipc.ts';
import { historyRecord, type HistoryRecord } from '../../src/protocol/methods.ts';
import type { WatchEvent, WatchState } from '../../src/protocol/watch.ts';
import type { History } from '../journal/history.ts';
import type { JournalLine } from '../journal/record.ts';
import type { Fleet } from './fleet.ts';

/** ms between two looks, and to a sign of life when nothing changes. */
const LOOK = 250;
const LIFE = 5000;
/** Bytes that a watcher may leave unread before it has to wait for what is next. */
const MOST_UNREAD = 1024 * 1024;
/** Jobs whose output is held, and records that wait for a watcher who does not read. */
const MOST_TAILS = 64;
const MOST_WAITING = 500;

export type WatchersParts = {
  readonly fleet: Fleet;
  readonly history: History;
  readonly state: () => WatchState;
};

/** The other end of a connection. */
export type Viewer = {
  readonly signal: AbortSignal;
  readonly emit: (event: WatchEvent) => void;
  /** Bytes that it has not taken yet. */
  readonly unread: () => number;
};

type Watcher = {
  readonly viewer: Viewer;
  /** JSON of each part as it was told. */
  readonly told: Map<string, string>;
  /** By job: how far of its tail. */
  readonly read: Map<string, number>;
  readonly records: Map<string, HistoryRecord>;
  spokenAt: number;
};

export class Watchers {
  readonly #parts: WatchersParts;
  readonly #watchers = new Set<Watcher>();
  /** By job, whoever wrote last at the end. */
  readonly #tails = new Map<string, Tail>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: WatchersParts) {
    this.#parts = parts;
  }

  /** Tells everything, then what changes, until the viewer goes; begins with so many records. */
  async watch(viewer: Viewer, recent: number): Promise<void> {
    if (viewer.signal.aborted) return;
    const records = (await this.#parts.history.last(recent + MOST_WAITING))
      .filter(({ ended }) => ended)
      .slice(0, recent)
      .reverse()
      .map((line) => historyRecord.parse(line));
    const watcher: Watcher = {
      ...{ viewer, told: new Map<string, string>(), read: new Map<string, number>() },
      records: new Map(records.map((record) => [record.id, record])),
      spokenAt: 0,
    };
    this.#watchers.add(watcher);
    this.#begin();
    this.#tell(watcher, this.#parts.state());
    await new Promise<void>((resolve) => {
      const gone = (): void => {
        this.#watchers.delete(watcher);
        this.#rest();
        resolve();
      };
      if (viewer.signal.aborted) gone();
      else viewer.signal.addEventListener('abort', gone, { once: true });
    });
  }

  /** A job wrote something. */
  wrote({ job, data, skipped }: Extract<LinkToFront, { type: 'output' }>): void {
    if (this.#watchers.size === 0) return;
    const tail = this.#tails.get(job) ?? new Tail();
    if (skipped) tail.break();
    tail.add(Buffer.from(data, 'base64'));
    this.#tails.delete(job);
    this.#tails.set(job, tail);
    const [oldest] = this.#tails.keys();
    if (this.#tails.size > MOST_TAILS && oldest !== undefined) this.#forget(oldest);
  }

  #forget(job: string): void {
    this.#tails.delete(job);
    for (const { read } of this.#watchers) read.delete(job);
  }

  /** Somebody watches: from now on everybody else tells of what they do. */
  #begin(): void {
    if (this.#timer !== undefined) return;
    this.#parts.history.onRecord = (line) => {
      this.#recorded(line);
    };
    this.#parts.fleet.watch(true);
    this.#timer = setInterval(() => {
      const state = this.#parts.state();
      for (const watcher of this.#watchers) this.#tell(watcher, state);
    }, LOOK);
  }

  /** Nobody watches any more. */
  #rest(): void {
    if (this.#watchers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#parts.history.onRecord = undefined;
    this.#parts.fleet.watch(false);
    this.#tails.clear();
  }

  #recorded(line: JournalLine): void {
    if (!line.ended) return;
    const record = historyRecord.parse(line);
    for (const { records } of this.#watchers) {
      records.delete(record.id);
      records.set(record.id, record);
      const [oldest] = records.keys();
      if (records.size > MOST_WAITING && oldest !== undefined) records.delete(oldest);
    }
  }

  #tell(watcher: Watcher, state: WatchState): void {
    const { viewer } = watcher;
    if (viewer.unread() > MOST_UNREAD) return;
    const changed = changedParts(state, watcher.told);
    const now = Date.now();
    if (Object.keys(changed).length > 0 || now - watcher.spokenAt > LIFE) {
      viewer.emit({ type: 'state', at: now, state: changed });
      watcher.spokenAt = now;
    }
    if (watcher.records.size > 0) {
      viewer.emit({ type: 'records', records: [...watcher.records.values()] });
      watcher.records.clear();
    }
    for (const [job, tail] of this.#tails) {
      const read = watcher.read.get(job) ?? 0;
      if (read === tail.total) continue;
      const { data, skipped } = tail.since(read);
      watcher.read.set(job, tail.total);
      viewer.emit({ type: 'output', job, data: data.toString('base64'), skipped });
    }
  }
}

/** The parts that are not as they were told, which they then are. */
function changedParts(state: WatchState, told: Map<string, string>): Partial<WatchState> {
  const changed = Object.entries(state).filter(([name, part]) => {
    const json = JSON.stringify(part);
    if (told.get(name) === json) return false;
    told.set(name, json);
    return true;
  });
  return Object.fromEntries(changed);
}
