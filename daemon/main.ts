/**
 * rchd, the resident daemon of one user: `rchd --background` (by `rch daemon start` or a launcher) or
 * `rchd --foreground` (by hand or by systemd; the log is shown too).
 */
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { type Layout, historyFile, layoutOf } from '../src/base/layout.ts';
import { messageOf } from '../src/base/result.ts';
import { loadConfig } from '../src/config/load.ts';
import { defaultConfig } from '../src/config/schema.ts';
import { type FrontOptions, Front, type StopKind } from './front/front.ts';
import { listen, type Listener } from './front/listener.ts';
import { History } from './journal/history.ts';
import { Learned } from './journal/learned.ts';
import { LeaseFile } from './journal/lease-file.ts';
import { LastSettings } from './journal/last-settings.ts';
import { Mandates } from './journal/mandates.ts';
import { Speeds } from './journal/speeds.ts';
import { logPlaceOf, openLog, type Log } from './journal/log.ts';

const version = process.env['RCH_BUILD_VERSION'] ?? '0.0.0';

/**
 * A daemon that waits most of its life should be small: with V8's defaults a storm of questions leaves 125 MB
 * resident behind, with these 75, at no cost that a question would show.
 */
function staySmall(): void {
  for (const flag of ['--optimize-for-size', '--max-semi-space-size=2']) setFlagsFromString(flag);
}

/** Requests bring their own settings: whoever happened to start the daemon must not lend it theirs. */
function forgetCaller(): void {
  for (const name of Object.keys(process.env))
    if (name.startsWith('RCH_')) Reflect.deleteProperty(process.env, name);
  // An agent that is a child of ours takes its tools from this PATH: it must not find the shims.
  const { shims } = layoutOf(process.env, import.meta.url);
  const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== shims);
  process.env['PATH'] = folders.join(':');
  process.umask(0o077);
  process.chdir('/');
}

function crash(log: Log, what: string, thrown: unknown): void {
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  log.logger.fatal(`${what}: ${text}`);
  // Launchers find no daemon, run locally, and start a fresh one.
  void log.close().finally(() => process.exit(70));
}

/** What the daemon remembers beside its history; `complain` hears of what cannot be read. */
function openFiles(
  layout: Layout,
  complain: (what: string) => void,
): Pick<FrontOptions, 'learned' | 'speeds' | 'mandates' | 'lastSettings' | 'leaseFile'> {
  const file = (name: string): string => join(layout.state, name);
  return {
    learned: Learned.open(file('learned.json'), complain),
    speeds: Speeds.open(file('speeds.json'), complain),
    mandates: Mandates.open(file('mandates.json'), complain),
    lastSettings: LastSettings.open(file('links.json'), complain),
    leaseFile: new LeaseFile(file('leases.json'), complain),
  };
}

/** ms between looks whether the socket is still there. */
const STANDS_MS = 5000;

function whenRemoved({ stands }: Listener, then: () => void): void {
  const timer = setInterval(() => {
    if (stands()) return;
    clearInterval(timer);
    then();
  }, STANDS_MS).unref();
}

function obeySignals(stop: (how: StopKind) => void): void {
  process.on('SIGTERM', () => {
    stop('drain');
  });
  process.on('SIGINT', () => {
    stop('now');
  });
  process.on('SIGHUP', () => undefined);
}

async function run(foreground: boolean): Promise<string | undefined> {
  const layout = layoutOf(process.env, import.meta.url);
  const config = loadConfig(layout, { HOME: process.env['HOME'] });
  const { general } = config.ok ? config.value.config : defaultConfig();
  const log = openLog(logPlaceOf(layout, general), { level: general.logLevel, echo: foreground });
  const { logger } = log;
  const complain = (what: string): void => {
    logger.warn(what);
  };
  const state: { listener?: Listener; stopping: boolean } = { stopping: false };
  const history = History.open(historyFile(layout), complain);
  const stop = (how: StopKind): void => {
    if (state.stopping) return;
    state.stopping = true;
    logger.info(`stopping: ${how}`);
    void front
      .stop(how)
      .then(() => {
        state.listener?.close();
        return history.close();
      })
      .then(() => {
        logger.info('stopped');
        return log.close();
      })
      .finally(() => process.exit(0));
  };
  const home = process.env['HOME'];
  const journal = { history, ...openFiles(layout, complain) };
  const front = new Front({
    ...{ layout, version, home, logger, ...journal },
    // Whoever keeps one in the foreground (systemd, a person) has chosen its place.
    mayLeave: !foreground,
    onLogPlace: (now) => {
      log.moveTo(logPlaceOf(layout, now));
    },
    logTrouble: log.trouble,
    onStop: stop,
  });
  process.on('uncaughtException', (thrown) => {
    crash(log, 'uncaught', thrown);
  });
  const listening = await listen(layout, front.accept);
  if (!listening.ok) {
    logger.error(listening.failure.reason);
    await log.close();
    return listening.failure.reason;
  }
  state.listener = listening.value;
  whenRemoved(listening.value, () => {
    logger.warn('the socket was removed: launchers look for another daemon');
    stop('drain');
  });
  obeySignals(stop);
  logger.info({ version, home: layout.home }, 'listening');
  front.start();
  return undefined;
}

staySmall();
forgetCaller();
const flags = process.argv.slice(2);
if (flags.some((flag) => flag !== '--background' && flag !== '--foreground')) {
  process.stderr.write('usage: rchd [--background | --foreground]\n');
  process.exit(64);
}
try {
  const trouble = await run(flags.includes('--foreground'));
  if (trouble !== undefined) {
    process.stderr.write(`rchd: ${trouble}\n`);
    process.exit(1);
  }
} catch (thrown) {
  process.stderr.write(`rchd: ${messageOf(thrown)}\n`);
  process.exit(70);
}
