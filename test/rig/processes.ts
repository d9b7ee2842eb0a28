/** Processes that a test leaves behind by their nature, such as an agent, which outlives its connection. */
import { readdirSync, readFileSync } from 'node:fs';

/** Kills every process whose command line names something below `folder`. */
export function endProcessesOf(folder: string): void {
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    const pid = Number(name);
    try {
      if (pid === process.pid) continue;
      if (readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(`${folder}/`))
        process.kill(pid, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
}
