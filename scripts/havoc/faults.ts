/** What goes wrong: each fault begins at once, and has an end of its own. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from './plan.ts';
import type { Project } from './project.ts';
import type { Site } from './site.ts';

export type Stage = {
  readonly site: Site;
  readonly project: Project;
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
export async function happen(fault: Fault, { site, project, killShim }: Stage): Promise<void> {
  const relay = site.relays[fault.worker];
  switch (fault.kind) {
    case 'daemon-killed':
      end(site.daemonPid());
      return;
    case 'link-killed':
      end(site.linkOf(site.worker(fault.worker).id));
      return;
    // Whatever else the daemon has running: a question to the package manager, say.
    case 'helper-killed': {
      const pids = site.helperPids();
      end(pids[Math.floor(fault.which * pids.length)]);
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
      project.edit(fault.edit);
      return;
  }
}
