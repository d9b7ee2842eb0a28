/** A Slurm cluster of one node, which is this machine: munged, slurmctld and slurmd of its own, in a folder of its own. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { clear } from './processes.ts';

const run = promisify(execFile);
const programs = ['/usr/sbin/munged', '/usr/sbin/slurmctld', '/usr/sbin/slurmd', '/usr/bin/srun'];
/** ms for the cluster to take its first job. */
const PATIENCE = 120_000;

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root for slurmd';
  try {
    for (const program of programs) accessSync(program, constants.X_OK);
    return undefined;
  } catch {
    return 'needs the packages slurm-wlm and munge';
  }
}

/** Why there can be no cluster here. */
export const noSlurm: string | undefined = whyNot();

/**
 * A port below those that the kernel gives to whoever connects (ip(7), ip_local_port_range): between this look and the
 * daemon that is to have it nobody gets it by chance.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const server = createServer();
    const taken = await new Promise<boolean>((resolve) => {
      server.once('error', () => {
        resolve(true);
      });
      server.listen(port, '127.0.0.1', () => {
        resolve(false);
      });
    });
    if (taken) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** No cgroups and no accounting: what has to be there for srun, and nothing else (slurm.conf(5)). */
function configuration(folder: string, ports: readonly [number, number]): string {
  const host = hostname();
  return `ClusterName=rch
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${folder}/munge/socket
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
NodeName=${host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=${host} Default=YES MaxTime=INFINITE State=UP
`;
}

export class Slurm {
  readonly folder: string;
  readonly conf: string;
  readonly #daemons: ChildProcess[] = [];

  private constructor(folder: string) {
    this.folder = folder;
    this.conf = join(folder, 'slurm.conf');
  }

  static async up(): Promise<Slurm> {
    const slurm = new Slurm(mkdtempSync(join(tmpdir(), 'rch-slurm-')));
    await slurm.#start();
    return slurm;
  }

  async #start(): Promise<void> {
    const { folder, conf } = this;
    for (const part of ['munge', 'state', 'spool']) mkdirSync(join(folder, part), { mode: 0o700 });
    const munge = join(folder, 'munge');
    writeFileSync(join(munge, 'key'), randomBytes(1024), { mode: 0o600 });
    writeFileSync(conf, configuration(folder, [await freePort(), await freePort()]));
    this.#daemon('/usr/sbin/munged', [
      ...['--foreground', '--force', `--key-file=${munge}/key`, `--socket=${munge}/socket`],
      ...[`--pid-file=${munge}/pid`, `--log-file=${munge}/log`, `--seed-file=${munge}/seed`],
    ]);
    this.#daemon('/usr/sbin/slurmctld', ['-D', '-f', conf]);
    this.#daemon('/usr/sbin/slurmd', ['-D', '-f', conf, '-N', hostname()]);
    const till = performance.now() + PATIENCE;
    // Until all three know each other.
    while (
      (await this.say('srun', '-n1', '-Q', '-t1', 'true').catch(() => undefined)) === undefined
    )
      if (performance.now() > till) throw new Error('the cluster does not come up');
  }

  #daemon(program: string, argv: readonly string[]): void {
    this.#daemons.push(
      spawn(program, argv, { stdio: 'ignore', env: { ...process.env, SLURM_CONF: this.conf } }),
    );
  }

  /** Runs a command of Slurm; its stdout. */
  async say(program: string, ...argv: readonly string[]): Promise<string> {
    const env = { ...process.env, SLURM_CONF: this.conf };
    return (await run(program, argv, { env, timeout: PATIENCE })).stdout.trim();
  }

  /** Ends every job and the cluster, each process by its id. */
  async down(): Promise<void> {
    await this.say('scancel', '--user=root').catch(() => '');
    const till = performance.now() + PATIENCE;
    while ((await this.say('squeue', '-h').catch(() => '')) !== '' && performance.now() < till);
    for (const daemon of this.#daemons.reverse()) {
      if (daemon.exitCode !== null || daemon.signalCode !== null) continue;
      const gone = once(daemon, 'exit');
      daemon.kill('SIGTERM');
      await gone;
    }
    clear(this.folder);
  }
}
