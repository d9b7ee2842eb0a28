/** `rch doctor`: what the facts of a connected worker mean. Decides only. */
import type { MachineFacts } from '../../protocol/facts.ts';
import type { WorkerStatus } from '../../protocol/methods.ts';
import { duration, printable, size } from '../render/text.ts';
import { withOf } from '../workers/managers.ts';
import { compareTools } from '../workers/tools.ts';
import { failed, pass, warn, type At, type Check } from './check.ts';

type Facts = NonNullable<WorkerStatus['facts']>;

/** Bytes below which a build can hardly run, and below which the store is soon cut. */
const LEAST_DISK = 1e9;
const SCANT_DISK = 5e9;
/** ms. Clocks may differ, as times are translated; more than this is a clock that nobody sets. */
const CLOCK_MS = 60_000;
/** ms there and back above which small commands are not worth the way. */
const FAR_MS = 150;

export const atOf = (worker: string, part: string): At => ({
  id: `worker.${worker}.${part.replaceAll(' ', '-')}`,
  title: `${worker}: ${part}`,
});

function sandboxCheck(id: string, { sandbox }: Facts): Check {
  const at = atOf(id, 'sandbox');
  switch (sandbox.method) {
    case 'namespaces':
      return pass(at, 'own namespaces');
    case 'bubblewrap':
      return pass(at, 'bubblewrap');
    case 'folder':
      return warn(
        at,
        'real folders at the same paths: only compiler calls whose outputs are known can run in them',
        {
          mend: `rch workers setup ${id}`,
        },
      );
    case 'none':
      return failed(at, `no method works, so it cannot be used: ${sandbox.mend}`, {
        mend: `rch workers setup ${id}`,
      });
  }
}

function toolChecks(id: string, facts: Facts, local: MachineFacts): Check[] {
  const at = atOf(id, 'tools');
  if (local.tools.length === 0) return [pass(at, 'this machine has none to compare')];
  const { lacking, differing } = compareTools(local.tools, facts.tools);
  const [first] = differing;
  const found: Check[] = [];
  if (lacking.length > 0)
    found.push(
      warn(at, `lacks ${lacking.join(' ')}: commands that need them run here`, {
        mend: `rch workers setup ${id} --with ${withOf(lacking)}`,
      }),
    );
  if (first !== undefined)
    found.push(
      warn(
        atOf(id, 'versions'),
        `${differing.map(({ name }) => name).join(' ')} of another version than here (${first.name}: ` +
          `"${printable(first.there)}" there, "${first.here}" here): commands that need them run here`,
        { mend: `rch workers sync ${id}` },
      ),
    );
  const same = `the same as here: ${local.tools.map(({ name }) => name).join(' ')}`;
  return found.length > 0 ? found : [pass(at, same)];
}

function diskCheck(id: string, { diskFree }: Facts): Check {
  const at = atOf(id, 'disk');
  const why = `${size(diskFree)} free`;
  const mend = `rch gc ${id} --to-mb 1000`;
  if (diskFree < LEAST_DISK) return failed(at, why, { mend });
  return diskFree < SCANT_DISK ? warn(at, why, { mend }) : pass(at, why);
}

function clockCheck(id: string, offset: number | null): Check[] {
  if (offset === null) return [];
  const at = atOf(id, 'clock');
  const far = Math.abs(offset);
  const why = `${far < 1 ? far.toFixed(2) : duration(far)}${far < 1 ? ' ms' : ''} ${offset < 0 ? 'behind' : 'ahead of'} ours`;
  return [
    far > CLOCK_MS
      ? warn(at, why, { mend: 'on the worker: sudo timedatectl set-ntp true' })
      : pass(at, why),
  ];
}

function distanceCheck(id: string, ms: number | null): Check[] {
  if (ms === null) return [];
  const at = atOf(id, 'distance');
  const why = `${ms < 10 ? `${ms.toFixed(1)} ms` : duration(ms)} there and back`;
  return [
    ms > FAR_MS
      ? warn(at, `${why}: small commands are not worth the way`, {
          mend: `ping the worker, or use a nearer one`,
        })
      : pass(at, why),
  ];
}

function stateCheck(id: string, { breaker, reason, next, slots }: WorkerStatus): Check {
  const at = atOf(id, 'in use');
  if (reason !== '') return warn(at, reason, { mend: next === '' ? 'rch workers list' : next });
  if (breaker !== 'closed')
    return warn(
      at,
      `jobs failed there of late, so its breaker is ${breaker}; it is tried again by itself`,
      {
        mend: `rch history; rch workers probe ${id}`,
      },
    );
  return pass(
    at,
    slots === null ? 'takes commands' : `${slots.used} of ${slots.total} slots are used`,
  );
}

/** What helps where the daemon names nothing. */
function mendOf(id: string, { kind, next }: WorkerStatus['troubles'][number]): string {
  if (next !== '') return next;
  switch (kind) {
    case 'breaker':
      return `rch history; rch workers probe ${id}`;
    case 'load':
      return `rch workers drain ${id}, or let the others there end`;
    default:
      return `rch workers probe ${id}`;
  }
}

/** What the daemon found wrong there, unless a check of ours says it already. `kind` is named as our checks are. */
function troubleChecks({ id, troubles }: WorkerStatus, said: readonly Check[]): Check[] {
  const names: Readonly<Record<string, string>> = { breaker: 'in use', toolchain: 'tools' };
  const wrong = new Set(said.filter(({ state }) => state !== 'pass').map((check) => check.id));
  return troubles
    .filter(({ kind }) => !wrong.has(atOf(id, names[kind] ?? kind).id))
    .map((trouble) => {
      const { reason, used } = trouble;
      const why = used ? reason : `${reason}: no command is sent there meanwhile`;
      return warn(atOf(id, `trouble ${trouble.kind}`), why, { mend: mendOf(id, trouble) });
    });
}

/** What can be said of a worker that answered. `local`: this machine, with the same tools asked for. */
export function judgeWorker(status: WorkerStatus, local: MachineFacts): Check[] {
  const { id, facts } = status;
  if (facts === null)
    return [
      failed(atOf(id, 'facts'), 'it said nothing of itself', { mend: `rch workers probe ${id}` }),
    ];
  const checks = [
    stateCheck(id, status),
    pass(atOf(id, 'Node'), `${facts.node}, for the agent`),
    sandboxCheck(id, facts),
    ...toolChecks(id, facts, local),
    diskCheck(id, facts),
    ...clockCheck(id, status.clockOffsetMs),
    ...distanceCheck(id, status.roundTripMs),
  ];
  return [...checks, ...troubleChecks(status, checks)];
}
