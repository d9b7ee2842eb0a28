/** By which means a job sees its roots at the caller's own paths here: found by trying, best first. */
import { existsSync, readFileSync, readlinkSync, readdirSync } from 'node:fs';
import type { AgentFacts } from '../protocol/facts.ts';
import { ask } from '../facts/answer.ts';
import type { Look } from './mounts.ts';

export type Sandbox = AgentFacts['sandbox'] & { readonly bubblewrap: string };

/** The worker's own file system, for the plans of mounts.ts. */
export const here: Look = {
  exists: (path) => existsSync(Buffer.from(path, 'latin1')),
  list: (path) =>
    readdirSync(Buffer.from(path, 'latin1'), { withFileTypes: true, encoding: 'buffer' }).map(
      (entry) => {
        const name = (entry.name as unknown as Buffer).toString('latin1');
        const whole = Buffer.from(`${path === '/' ? '' : path}/${name}`, 'latin1');
        return { name, link: entry.isSymbolicLink() ? readlinkSync(whole, 'latin1') : undefined };
      },
    ),
};

function setting(name: string): string {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** What would let this user make namespaces, in words with commands. */
export function mendFor(reason: string, runner: string): string {
  if (setting('kernel/apparmor_restrict_unprivileged_userns') === '1')
    return (
      'AppArmor keeps unprivileged programs from user namespaces (Ubuntu 23.10 and later): ' +
      'install bubblewrap (sudo apt-get install bubblewrap), or allow rch-run alone: ' +
      `printf 'abi <abi/4.0>,\\nprofile rch-run ${runner} flags=(unconfined) { userns, }\\n' | ` +
      'sudo tee /etc/apparmor.d/rch-run && sudo apparmor_parser -r /etc/apparmor.d/rch-run'
    );
  if (setting('kernel/unprivileged_userns_clone') === '0')
    return 'sudo sysctl -w kernel.unprivileged_userns_clone=1 (and in /etc/sysctl.d/ to keep it)';
  if (setting('user/max_user_namespaces') === '0')
    return 'sudo sysctl -w user.max_user_namespaces=15000 (and in /etc/sysctl.d/ to keep it)';
  return `namespaces cannot be made here (${reason}): install bubblewrap, or let this user make user namespaces`;
}

/** What `rch-run probe` printed: undefined when namespaces work, else why they do not. */
function faultOf(output: string): string | undefined {
  try {
    const said: unknown = JSON.parse(output);
    if (typeof said !== 'object' || said === null) return 'rch-run gave no answer';
    if ('namespaces' in said && said.namespaces === true) return undefined;
    return 'error' in said && typeof said.error === 'string' ? said.error : 'no reason given';
  } catch {
    return 'rch-run gave no answer';
  }
}

/** The bubblewrap that works here, as found on `path`; undefined when none does. */
async function findBubblewrap(path: string): Promise<string | undefined> {
  for (const folder of path.split(':')) {
    const program = `${folder}/bwrap`;
    if (!folder.startsWith('/') || !existsSync(program)) continue;
    const argv = [program, '--unshare-user', '--unshare-pid', '--ro-bind', '/', '/'];
    argv.push('--dev', '/dev', '--proc', '/proc', '--tmpfs', '/tmp', '--', '/bin/sh', '-c', ':');
    const answer = await ask(argv, { path });
    if (answer?.exit === 0) return program;
  }
  return undefined;
}

export type SandboxNeeds = {
  /** `rch-run`. */
  readonly runner: string;
  readonly path: string;
  /** Methods not to be tried, for tests of those after them. */
  readonly without: readonly string[];
};

/** Tries the methods in turn. A real folder always can be tried, and is decided root by root and job by job (unfit.ts). */
export async function findSandbox(needs: SandboxNeeds): Promise<Sandbox> {
  const without = (method: string): boolean => needs.without.includes(method);
  const answer = await ask([needs.runner, 'probe'], { path: needs.path });
  const fault = without('namespaces') ? 'not tried' : faultOf(answer?.stdout ?? '');
  if (fault === undefined) return { method: 'namespaces', mend: '', bubblewrap: '' };
  const mend = mendFor(fault, needs.runner);
  const bubblewrap = without('bubblewrap') ? undefined : await findBubblewrap(needs.path);
  if (bubblewrap !== undefined) return { method: 'bubblewrap', mend, bubblewrap };
  return { method: without('folder') ? 'none' : 'folder', mend, bubblewrap: '' };
}
