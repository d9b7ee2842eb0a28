/**
 * The front: takes questions and calls from the socket, and keeps the fleet. It carries no payload: after the
 * answer the launcher talks to a link.
 */
import type { Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import { asking } from '../../src/base/asking.ts';
import { allowedCpus } from '../../src/base/cpus.ts';
import { Memory } from '../../src/base/memory.ts';
import { startTimeOf } from '../../src/base/processes.ts';
import type { Layout } from '../../src/base/layout.ts';
import { defaultConfig, type Config } from '../../src/config/schema.ts';
import { PROBE } from '../classify/compiler.ts';
import type { History } from '../journal/history.ts';
import type { Learned } from '../journal/learned.ts';
import type { LastSettings } from '../journal/last-settings.ts';
import type { LeaseFile } from '../journal/lease-file.ts';
import type { Mandates } from '../journal/mandates.ts';
import { PidFile } from '../journal/pid-file.ts';
import type { Speeds } from '../journal/speeds.ts';
import { ExperienceBook } from '../select/experience.ts';
import { Book, newId } from './book.ts';
import { Connection, type Asking, type ConnectionHandlers } from './connection.ts';
import { Control } from './control.ts';
import { DashboardProcess } from './dashboard-process.ts';
import { Decider } from './decider.ts';
import { Fallbacks } from './fallback.ts';
import { Fleet } from './fleet.ts';
import { HealthWatch } from './health-watch.ts';
import { answerHook } from './hook.ts';
import { Jobs } from './jobs.ts';
import { LeaseDesk, type LeaseLimits } from './leases.ts';
import { Line } from './line.ts';
import { here, Question, type QuestionParts } from './question.ts';
import { Seeing } from './seeing.ts';
import { brokenReason, Settings } from './settings.ts';
import { SpeedDesk } from './speed-desk.ts';
import { Strangers } from './strangers.ts';
import { statusOf, type StatusParts } from './status.ts';
import { Watchers } from './watchers.ts';
import { watchStateOf } from './watch-state.ts';
import { answerWhere } from './where.ts';

/** ms between looks at jobs whose link died and at configuration files that nobody asked about. */
const LOOK = 2000;

/** ms in which changes of the leases are written down together. */
const KEEP = 20;

/**
 * How the daemon ends: `drain` gives running jobs their time and ends them then, `now` ends them, `handover` leaves them
 * to the daemon that comes next.
 */
export type StopKind = 'drain' | 'now' | 'handover';

/** ms that running jobs get by a stop that is in a hurry. */
const STOP_NOW = 1000;

/** ms that running jobs get by such a stop. */
export function stopMs(how: StopKind, { daemon }: Pick<Config, 'daemon'>): number {
  if (how === 'handover') return 0;
  return how === 'now' ? STOP_NOW : daemon.drainTimeoutSec * 1000;
}

export type FrontOptions = {
  readonly layout: Layout;
  readonly version: string;
  /** $HOME of the user, for `~` in configuration files. */
  readonly home: string | undefined;
  readonly logger: Logger;
  readonly history: History;
  readonly learned: Learned;
  readonly speeds: Speeds;
  readonly mandates: Mandates;
  readonly lastSettings: LastSettings;
  readonly leaseFile: LeaseFile;
  /** The log goes where these say. */
  readonly onLogPlace: (general: Config['general']) => void;
  /** Why lines of the log are not written; '' while they are. */
  readonly logTrouble: () => string;
  /** It may end when nobody asks from where it runs: a launcher started it, and would start the next one where that is. */
  readonly mayLeave: boolean;
  /** Begins to stop the whole daemon. */
  readonly onStop: (how: StopKind) => void;
};

function pidFileOf(logger: Logger): PidFile {
  return new PidFile((what) => {
    logger.warn(what);
  });
}

function strangersOf({ logger, onStop, mayLeave }: FrontOptions): Strangers {
  return new Strangers(() => {
    if (!mayLeave) return;
    logger.info('nobody asks from where this daemon runs any more; somebody does from elsewhere');
    onStop('drain');
  });
}

export class Front {
  readonly #options: FrontOptions;
  readonly #jobs = new Jobs();
  readonly #fleet: Fleet;
  readonly #leases: LeaseDesk;
  readonly #settings: Settings;
  readonly #book: Book;
  readonly #fallbacks: Fallbacks;
  readonly #seeing: Seeing;
  readonly #pidFile: PidFile;
  readonly #speeds: SpeedDesk;
  readonly #question: QuestionParts;
  readonly #handlers: ConnectionHandlers;
  readonly #sockets = new Set<Socket>();
  readonly #memory = new Memory({ busy: () => this.#sockets.size > 0 });
  readonly #watch: HealthWatch;
  readonly #watchers: Watchers;
  readonly #dashboard: DashboardProcess;
  #timer: NodeJS.Timeout | undefined;
  /** What changed of the leases is about to be written down. */
  #keeping: NodeJS.Timeout | undefined;
  #closing: string | undefined;
  #leasesVersion = 0;

  constructor(options: FrontOptions) {
    const { layout, logger, history, learned, home } = options;
    const jobs = this.#jobs;
    const cores = availableParallelism();
    this.#options = options;
    this.#watch = new HealthWatch((worker, what) => {
      logger.info({ worker }, what);
    });
    this.#pidFile = pidFileOf(logger);
    this.#fleet = this.#makeFleet();
    const fleet = this.#fleet;
    const settings = new Settings(layout, home, () => {
      this.#configure();
    });
    const line = this.#makeLine();
    const limits = (): LeaseLimits => {
      const outcome = settings.current();
      return limitsOf(outcome.ok ? outcome.value.config : defaultConfig(), cores);
    };
    const leases = new LeaseDesk({ line, limits, changes: fleet.changes, changed: this.#leased });
    const experience = new ExperienceBook();
    const fallbacks = new Fallbacks({ settings, history, logger });
    const { version } = options;
    const seeing = new Seeing({ logger, version, status: () => statusOf(parts) });
    const { watcher, bell } = seeing;
    const book = new Book({ history, learned, experience, jobs, leases, watcher });
    const speeds = this.#makeSpeeds(settings);
    const { logTrouble } = options;
    const shared = { layout, settings, fleet, jobs, leases, line, logTrouble };
    const decider = new Decider({ ...shared, learned, experience, speeds, cores });
    const startedAt = new Date();
    const parts: StatusParts = { ...shared, book, seeing, speeds, version, startedAt };
    this.#watchers = new Watchers({ fleet, history, state: () => watchStateOf(parts) });
    this.#dashboard = new DashboardProcess(layout, (line) => {
      logger.warn({ process: 'dashboard' }, line);
    });
    const control = new Control({
      ...{ ...parts, history, learned, decider },
      ...{ watchers: this.#watchers, dashboard: this.#dashboard },
      stop: options.onStop,
      stopMs: (how) => this.#stopMs(how),
    });
    this.#fallbacks = fallbacks;
    this.#seeing = seeing;
    this.#leases = leases;
    this.#settings = settings;
    this.#book = book;
    this.#speeds = speeds;
    this.#question = {
      ...{ ...shared, decider, book, fallbacks, bell, cores },
      strangers: strangersOf(options),
      cpus: () => cpusOf(limits().cores),
      closing: () => this.#closing,
      log: (what, job) => {
        logger.error(job === undefined ? {} : { job }, what);
      },
    };
    this.#handlers = this.#makeHandlers(decider, control);
  }

  #makeHandlers(decider: Decider, control: Control): ConnectionHandlers {
    const { layout, logger, history } = this.#options;
    const { settings, jobs, fleet, log } = this.#question;
    return {
      ask: (ask, reply) => this.#asked(ask, reply),
      told: (of) => {
        this.#told(of);
      },
      where: (job, caller) => {
        void answerWhere(job, { layout, fleet, jobs, history }, caller);
      },
      call: (call, caller) => {
        void control.handle(call, caller);
      },
      hook: (question) => {
        if (this.#closing !== undefined) return false;
        return answerHook(question, { layout, settings, decider, log });
      },
      complain: (what) => {
        logger.warn(what);
      },
    };
  }

  /** A launcher answered by itself, and says so. */
  #told(of: Parameters<ConnectionHandlers['told']>[0]): void {
    const { book } = this.#question;
    const word = of.argv[1]?.toString('utf8') ?? '';
    const asks = Object.values(asking).some((words) => words.some((each) => each === word));
    const decision = here(asks ? `it is only asked (${word})` : PROBE, 'light');
    book.decided(book.lineOf(newId(), of, decision, 0), { light: true });
  }

  /** Starts the links; questions may come from now on. */
  start(): void {
    // Heavy commands that the daemon before this one let run still keep the machine busy.
    for (const holder of this.#options.leaseFile.read())
      if (startTimeOf(holder.pid) === holder.startTime) this.#leases.adopt(holder, () => undefined);
    const outcome = this.#settings.current();
    // Also where the files are broken now, what runs comes to its end.
    this.#fleet.recall(outcome.ok ? outcome.value.config : defaultConfig());
    this.#configure();
    this.#timer = setInterval(() => {
      this.#look();
    }, LOOK);
  }

  readonly accept = (socket: Socket): void => {
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#memory.used();
    });
    new Connection(socket, this.#handlers);
  };

  /** Sends nothing more away, ends links, and lets all connections go. */
  async stop(how: StopKind): Promise<void> {
    this.#closing = how === 'handover' ? 'rch is restarting' : 'rch is stopping';
    if (how === 'handover') await this.#fleet.leave();
    else await this.#fleet.stop(this.#stopMs(how));
    clearInterval(this.#timer);
    await this.#dashboard.stop();
    this.#keepLeases();
    this.#leases.close();
    this.#fallbacks.stop();
    await this.#seeing.stop();
    this.#pidFile.remove();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** ms that running jobs get. */
  #stopMs(how: StopKind): number {
    const outcome = this.#settings.reload();
    return stopMs(how, outcome.ok ? outcome.value.config : defaultConfig());
  }

  #asked(...[ask, reply]: Parameters<ConnectionHandlers['ask']>): Asking {
    const question = new Question(ask, this.#question, reply);
    void question.answer();
    return {
      firstDone: (kind, value) => {
        question.firstDone(kind, value);
      },
      vanished: () => {
        question.vanished();
      },
    };
  }

  #configure(): void {
    const { logger } = this.#options;
    const outcome = this.#settings.current();
    if (outcome.ok) {
      const { level } = logger;
      const asked = outcome.value.config.general.logLevel;
      if (level !== asked) logger.level = asked;
      this.#options.onLogPlace(outcome.value.config.general);
      this.#pidFile.set(outcome.value.config.daemon.pidFile);
      void this.#options.history.retain(outcome.value.config.metrics.historyRetentionDays);
      this.#seeing.configure(outcome.value.config);
      this.#fleet.configure(outcome.value.config);
    } else {
      // The links stay as they are: running jobs end well, and a mended file finds them warm.
      logger.warn(brokenReason(outcome));
    }
  }

  /** Cores that each caller's commands hold, here and elsewhere. */
  #held(): Map<string, number> {
    const held = new Map<string, number>();
    this.#jobs.addHeld(held);
    for (const { holder, cores } of this.#leases.list())
      held.set(holder.caller.key, (held.get(holder.caller.key) ?? 0) + cores);
    return held;
  }

  #makeLine(): Line {
    return new Line({
      cores: () => this.#held(),
      version: () => this.#jobs.version + this.#leasesVersion,
    });
  }

  #makeSpeeds(settings: Settings): SpeedDesk {
    const { logger, speeds } = this.#options;
    return new SpeedDesk({
      fleet: this.#fleet,
      jobs: this.#jobs,
      speeds,
      config: () => {
        const outcome = settings.current();
        return outcome.ok ? outcome.value.config : undefined;
      },
      log: (what) => {
        logger.warn(what);
      },
    });
  }

  #makeFleet(): Fleet {
    const { layout, logger, mandates, lastSettings } = this.#options;
    return new Fleet(
      { layout, mandates, lastSettings },
      {
        onPhase: (_, id, phase) => {
          this.#jobs.entered(id, phase);
        },
        onOutput: (_, output) => {
          this.#watchers.wrote(output);
        },
        onJoined: (_, id, to) => {
          this.#jobs.joined(id, to);
          this.#fleet.changes.ring();
        },
        onDone: (worker, done) => {
          const job = this.#jobs.get(done.job);
          this.#book.done(worker, done);
          if (job !== undefined && done.outcome.kind === 'exited') this.#jobs.keep(job);
          this.#fleet.changes.ring();
        },
        onRecovered: (worker, jobs) => {
          this.#book.recovered(worker, jobs);
          this.#fleet.changes.ring();
        },
        onDeath: (worker) => {
          for (const job of this.#jobs.all()) if (job.worker === worker.id) job.orphan = true;
        },
        log: (worker, level, what, job) => {
          logger[level]({ worker: worker.id, ...(job === undefined ? {} : { job }) }, what);
        },
      },
    );
  }

  readonly #leased = (): void => {
    this.#leasesVersion++;
    this.#keeping ??= setTimeout(() => {
      this.#keepLeases();
    }, KEEP);
  };

  #keepLeases(): void {
    clearTimeout(this.#keeping);
    this.#keeping = undefined;
    this.#options.leaseFile.keep(this.#leases.list().map(({ holder }) => holder));
  }

  #look(): void {
    this.#settings.current();
    this.#seeing.look();
    for (const worker of this.#fleet.all()) {
      worker.rest(this.#jobs.countOn(worker.id));
      this.#watch.look(worker);
    }
    this.#speeds.look(performance.now());
    for (const job of this.#jobs.all()) {
      // Its next link will tell what became of it, if there is to be one.
      if (!job.orphan || this.#fleet.holding(job.worker)?.worker.enabled === true) continue;
      if (startTimeOf(job.holder.pid) !== job.holder.startTime) this.#book.orphaned(job);
    }
  }
}

/** What is configured about heavy commands here; `cores` are those of this machine. */
/** What heavy commands on this machine of so many cores are held to. */
export function limitsOf({ local, queue }: Config, cores: number): LeaseLimits {
  return {
    cores: Math.min(cores, local.maxCores ?? cores),
    longestWait: queue.maxLocalWaitSec * 1000,
  };
}

/** The CPUs that stand for so many cores; empty where these are all. */
function cpusOf(cores: number): readonly number[] {
  const allowed = allowedCpus();
  return cores < allowed.length ? allowed.slice(0, cores) : [];
}
