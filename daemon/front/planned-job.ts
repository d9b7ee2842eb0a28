/** Puts together what a link gets of a question, its plan and the settings. */
import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type { RequestSettings } from '../../src/config/request.ts';
import type { Config } from '../../src/config/schema.ts';
import type { PlannedJob } from '../../src/protocol/ipc.ts';
import { StreamKind, type Ask } from '../../src/protocol/shim.ts';
import { inodeOf } from '../../src/tree/listing.ts';
import { colored } from './colors.ts';
import type { RemoteDecision } from './decision.ts';
import { inheritedBy } from './inherited.ts';
import { joinKey } from './join-key.ts';
import { environmentOf } from './request.ts';

type User = PlannedJob['user'];

/** The name of a group in group(5), or its number where it has none. */
function groupName(gid: number): string {
  try {
    const lines = readFileSync('/etc/group', 'utf8').split('\n');
    const line = lines.find((each) => each.split(':')[2] === String(gid));
    return line?.split(':')[0] ?? String(gid);
  } catch {
    return String(gid);
  }
}

/** Bytes of a time zone; the longest of tzdata has 3,600. */
const MOST_ZONE = 65_536;

let user: User | undefined;

/** The user this daemon belongs to, who is every caller's. */
function ourUser(): User {
  if (user !== undefined) return user;
  const { username, uid, gid, homedir } = userInfo({ encoding: 'buffer' });
  user = {
    name: username.toString('latin1'),
    uid,
    gid,
    group: groupName(gid),
    home: homedir.toString('latin1'),
  };
  return user;
}

/** What else of this machine a tool may put into its output. Asked anew: both can change while a daemon runs. */
function ourMachine(): PlannedJob['machine'] {
  const zone = ((): string => {
    try {
      const content = readFileSync('/etc/localtime');
      return content.length <= MOST_ZONE ? content.toString('base64') : '';
    } catch {
      return '';
    }
  })();
  return { host: hostname(), zone };
}

/** Whether descriptors 1 and 2 are one and the same pipe, socket or file. */
function joined(ask: Ask): boolean {
  const open = ask.outKind !== StreamKind.closed && ask.errKind !== StreamKind.closed;
  return open && ask.outDev === ask.errDev && ask.outIno === ask.errIno;
}

function outputFiles(ask: Ask): string[] {
  const out = ask.outKind === StreamKind.file ? [{ dev: ask.outDev, ino: ask.outIno }] : [];
  const err = ask.errKind === StreamKind.file ? [{ dev: ask.errDev, ino: ask.errIno }] : [];
  return [...out, ...err].map(inodeOf);
}

/** Whether nothing may be taken to be as it was before. */
export function readsAnew({ noCache }: Pick<RequestSettings, 'noCache'>, config: Config): boolean {
  return noCache ?? config.transfer.checksum;
}

export function plannedJob(
  id: string,
  ask: Ask,
  decision: RemoteDecision & {
    readonly waitedMs: number;
    readonly remark: string;
  },
  caller: RequestSettings,
): PlannedJob {
  const { plan, config, slots, wished, reason, waitedMs, remark } = decision;
  const anew = readsAnew(caller, config);
  return {
    job: id,
    tool: plan.tool,
    argv: ask.argv.map((word) => word.toString('latin1')),
    env: [...plan.env],
    withheld: plan.withheld.map(({ name }) => name),
    cwd: ask.cwd.toString('latin1'),
    roots: [...plan.roots],
    hide: [...plan.hide],
    open: [...plan.open],
    shimDir: ask.shimDir.toString('latin1'),
    shimTools: [...plan.shimTools],
    user: ourUser(),
    machine: ourMachine(),
    ...inheritedBy(ask, config),
    streams: [ask.inKind, ask.outKind, ask.errKind],
    joined: joined(ask),
    outputFiles: outputFiles(ask),
    window: { rows: ask.rows, cols: ask.cols, xpixel: ask.xpixel, ypixel: ask.ypixel },
    termios: ask.termios.toString('base64'),
    ...{ slots, wished, reason, waitedMs, remark },
    slotWaitMs: config.queue.enabled ? config.queue.maxWaitSec * 1000 : 0,
    catchExec: [...plan.catchExec],
    ...(plan.outputs === undefined ? {} : { outputs: [...plan.outputs] }),
    caches: [...plan.caches],
    network: plan.network && config.sandbox.network,
    verbose: caller.verbose ?? config.general.verbose,
    notice: caller.notice ?? config.output.notice,
    dim: colored(ask.errKind, environmentOf(ask.env.map((entry) => entry.toString('latin1')))),
    maxRootBytes: config.transfer.maxTransferSizeMb * 1e6,
    compression: caller.compression ?? 0,
    checksum: anew,
    ...{ transferMs: config.transfer.timeoutSec * 1000, hereMs: decision.hereMs },
    hooks: {
      preTransfer: config.hooks.preTransfer,
      postCompile: config.hooks.postCompile,
      limit: config.hooks.timeoutSec * 1000,
      folder: plan.project,
    },
    timeoutMs: config.execution.timeoutSec * 1000,
    launcher: { pid: ask.pid, startTime: ask.startTime.toString() },
    key: joinKey(ask, plan, config, anew),
    reuseMs: config.deduplication.reuseSec * 1000,
    locks: decision.twin === undefined ? [] : [...plan.locks],
    look: decision.look?.worker === decision.worker ? decision.look.name : '',
  };
}
