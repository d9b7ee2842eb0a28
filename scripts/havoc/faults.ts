/** What goes wrong: each fault begins at once, and has an end of its own. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Chance } from './chance.ts';
import type { Project } from './project.ts';
import type { Site } from './site.ts';

export const faultKinds = [
  'daemon-killed',
  'helper-killed',
  'agent-killed',
  'cut',
  'frozen',
  'slowed',
  'disk-full',
  'clock-set',
  'shim-killed',
  'edited',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** A fault that was chosen; `lasts` in ms. */
export type Fault = {
  readonly kind: FaultKind;
  readonly worker: number;
  readonly lasts: number;
  /** Of the clock. */
  readonly shiftNs: bigint;
};

export function chooseFault(chance: Chance, kinds: readonly FaultKind[], workers: number): Fault {
  const [first = 'cut', ...rest] = kinds;
  const kind = chance.pick([first, ...rest]);
  return {
    kind,
    // The first worker is the one with the small disk.
    worker: kind === 'disk-full' ? 0 : chance.between(0, workers),
    lasts: chance.between(200, kind === 'frozen' ? 7000 : 2500),
    shiftNs: BigInt(chance.between(-5, 3600)) * 1_000_000_000n,
  };
}

export type Stage = {
  readonly site: Site;
  readonly project: Project;
  readonly chance: Chance;
  readonly killShim: () => void;
};

function end(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  } catch {
    // It went by itself.
  }
}

/** Settles when the fault is over. */
export async function happen(fault: Fault, stage: Stage): Promise<void> {
  const { site, project, chance, killShim } = stage;
  const relay = site.relays[fault.worker];
  switch (fault.kind) {
    case 'daemon-killed':
      end(site.daemonPid());
      return;
    // A link, or whatever else the daemon has running: a question to the package manager, say.
    case 'helper-killed': {
      const [first, ...rest] = site.childPids();
      if (first !== undefined) end(chance.pick([first, ...rest]));
      return;
    }
    case 'agent-killed':
      await site.killAgent(fault.worker);
      return;
    case 'cut':
      await relay?.command({ cut: true });
      return;
    case 'frozen':
      await relay?.command({ frozen: true });
      await delay(fault.lasts);
      await relay?.command({ frozen: false });
      return;
    case 'slowed':
      await relay?.command({ rate: 100_000, delay: 20 });
      await delay(fault.lasts);
      await relay?.command({ rate: 0, delay: 0 });
      return;
    case 'disk-full':
      await site.fill(true);
      await delay(fault.lasts);
      await site.fill(false);
      return;
    case 'clock-set':
      site.setClock(fault.worker, fault.shiftNs);
      return;
    case 'shim-killed':
      killShim();
      return;
    case 'edited':
      project.edit(chance);
      return;
  }
}
