/** All that lets somebody see what happens: the log of jobs, metrics, traces, and the alarm. */
import type { Logger } from 'pino';
import { messageOf } from '../../src/base/result.ts';
import type { Config } from '../../src/config/schema.ts';
import type { StatusReply } from '../../src/protocol/methods.ts';
import { AlarmBell } from './alarm-bell.ts';
import { jobLog } from './job-log.ts';
import { watchers, type JobWatcher } from './job-watcher.ts';
import { MetricsDesk } from './metrics-desk.ts';
import { Traces } from './traces.ts';

export type SeeingParts = {
  readonly logger: Logger;
  readonly version: string;
  readonly status: () => StatusReply;
};

export class Seeing {
  readonly bell: AlarmBell;
  readonly metrics: MetricsDesk;
  /** Hears of every command. */
  readonly watcher: JobWatcher;
  readonly #traces: Traces;
  #settings: Config['traces'] = {};

  constructor({ logger, version, status }: SeeingParts) {
    this.bell = new AlarmBell(logger);
    this.metrics = new MetricsDesk({ logger, status });
    this.#traces = new Traces({ logger, version, settings: () => this.#settings });
    const all = [jobLog(logger), this.bell, this.metrics, this.#traces];
    this.watcher = watchers(all, (thrown) => {
      logger.error(`what watches the jobs failed: ${messageOf(thrown)}`);
    });
  }

  /** A configuration that cannot be used leaves all as it was. */
  configure({ metrics, traces }: Config): void {
    this.#settings = traces;
    this.metrics.configure(metrics);
  }

  /** Called now and then. */
  look(): void {
    this.metrics.look();
  }

  async stop(): Promise<void> {
    this.metrics.stop();
    await this.#traces.stop();
  }
}
