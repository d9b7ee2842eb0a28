/**
 * What a worker's shell says of it, before there is any agent and whatever the machine is: appendix B of the plan, and
 * what `rch workers setup` has to know. Nothing there is changed.
 */
import { fail, ok, type Result } from '../../base/result.ts';
import { printable } from '../render/text.ts';
import { runScript, type ShellOptions, type ShellPlace } from './remote-shell.ts';

export const managerNames = ['apt-get', 'dnf', 'pacman', 'zypper', 'apk', 'brew'] as const;
export type ManagerName = (typeof managerNames)[number];

/**
 * - `root`: the account is root.
 * - `free`: sudo asks for nothing.
 * - `asks`: there is a sudo, which wants a password.
 * - `none`: no sudo.
 */
export type Sudo = 'root' | 'free' | 'asks' | 'none';

export type Survey = {
  /** `uname -s`, `-m`, `-r`, `-n`. */
  readonly kernel: string;
  readonly arch: string;
  readonly release: string;
  readonly hostname: string;
  readonly user: string;
  /** PRETTY_NAME of os-release(5). */
  readonly system: string;
  /** As getconf or ldd print it. */
  readonly libc: string;
  readonly cores: number;
  /** bytes, both; 0 when it cannot be told. */
  readonly memory: number;
  readonly diskFree: number;
  /** Its own, as `node -v` prints it; empty when it has none. */
  readonly node: string;
  readonly managers: readonly ManagerName[];
  readonly sudo: Sudo;
  /** First lines of `--version`, by name. */
  readonly tools: Readonly<Record<string, string>>;
  /** An account can make namespaces, by itself and by bubblewrap. */
  readonly namespaces: boolean;
  readonly bubblewrap: boolean;
  /** AppArmor keeps programs without a profile from user namespaces (Ubuntu 23.10 and later). */
  readonly restricted: boolean;
  /** Settings of sysctl(8), `NAME=VALUE`, without which its kernel gives no account a namespace. */
  readonly closed: readonly string[];
  readonly systemd: boolean;
  /** logind ends what a session leaves behind, unless the account lingers. */
  readonly kills: boolean;
  readonly lingers: boolean;
  /** ms from the first byte to the last. */
  readonly tookMs: number;
};

const BEGIN = 'rch-survey-begin';
const END = 'rch-survey-end';

/** Names that sh takes as they are. */
const plain = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/;

/** What must not be 0 for namespaces (user_namespaces(7); the first is Debian's and Arch's), and what to set it to. */
const openings = [
  ['kernel.unprivileged_userns_clone', '1'],
  ['user.max_user_namespaces', '15000'],
] as const;

export function surveyScript(tools: readonly string[]): string {
  const asked = tools.filter((tool) => plain.test(tool));
  return [
    `echo; echo ${BEGIN}`,
    'echo "kernel $(uname -s)"; echo "arch $(uname -m)"; echo "release $(uname -r)"',
    'echo "hostname $(uname -n)"; echo "user $(id -un)"',
    '( . /etc/os-release 2>/dev/null; echo "system $PRETTY_NAME" )',
    'echo "libc $(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1)"',
    'echo "cores $(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null)"',
    'echo "memory $(sed -n \'s/^MemTotal: *\\([0-9]*\\) kB/\\1/p\' /proc/meminfo 2>/dev/null)"',
    'echo "disk $(df -Pk "$HOME" 2>/dev/null | tail -n 1)"',
    'echo "node $(node -v 2>/dev/null)"',
    `for m in ${managerNames.join(' ')}; do command -v $m >/dev/null 2>&1 && echo "manager $m"; done`,
    'if [ "$(id -u)" = 0 ]; then echo "sudo root"',
    'elif ! command -v sudo >/dev/null 2>&1; then echo "sudo none"',
    'elif sudo -n true 2>/dev/null; then echo "sudo free"; else echo "sudo asks"; fi',
    `for t in ${asked.join(' ')}; do`,
    '  command -v "$t" >/dev/null 2>&1 || continue',
    '  echo "tool $t $("$t" --version 2>/dev/null | head -n 1)"',
    'done',
    'unshare --user --map-root-user --mount --pid --fork true 2>/dev/null && echo "namespaces yes"',
    'bwrap --unshare-user --unshare-pid --ro-bind / / --dev /dev --proc /proc true 2>/dev/null && echo "bubblewrap yes"',
    '[ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null)" = 1 ] && echo "restricted yes"',
    ...openings.map(
      ([name, value]) =>
        `[ "$(cat /proc/sys/${name.replaceAll('.', '/')} 2>/dev/null)" = 0 ] && echo "closed ${name}=${value}"`,
    ),
    '[ -d /run/systemd/system ] && echo "systemd yes"',
    '[ "$(loginctl show-session --property=KillUserProcesses --value 2>/dev/null)" = yes ] && echo "kills yes"',
    '[ -e "/var/lib/systemd/linger/$(id -un)" ] && echo "lingers yes"',
    `echo ${END}`,
  ].join('\n');
}

function toolsOf(lines: readonly string[]): Record<string, string> {
  const found = lines.flatMap((line) => {
    const [, name, version = ''] = /^tool (\S+) ?(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, version.trim()] as const];
  });
  return Object.fromEntries(found);
}

const sudos: readonly Sudo[] = ['root', 'free', 'asks', 'none'];

/** Reads what the script printed; undefined when it did not get to its end. */
export function parseSurvey(text: string): Omit<Survey, 'tookMs'> | undefined {
  const from = text.indexOf(`${BEGIN}\n`);
  const till = text.indexOf(`${END}\n`, from);
  if (from < 0 || till < 0) return undefined;
  const lines = text
    .slice(from, till)
    .split('\n')
    .map((line) => printable(line.trim()));
  const value = (key: string): string =>
    lines
      .find((line) => line.startsWith(`${key} `))
      ?.slice(key.length + 1)
      .trim() ?? '';
  const managers = lines
    .filter((line) => line.startsWith('manager '))
    .map((line) => line.slice('manager '.length));
  return {
    ...{ kernel: value('kernel'), arch: value('arch'), release: value('release') },
    ...{ hostname: value('hostname'), user: value('user'), system: value('system') },
    ...{ libc: value('libc'), cores: Number(value('cores')) || 0, node: value('node') },
    memory: (Number(value('memory')) || 0) * 1024,
    // df -P: file system, 1024-blocks, used, available, capacity, mounted on. Names may hold spaces.
    diskFree: Number(/(\d+)\s+\d+%\s/.exec(value('disk'))?.[1] ?? 0) * 1024,
    managers: managerNames.filter((name) => managers.includes(name)),
    sudo: sudos.find((name) => name === value('sudo')) ?? 'none',
    tools: toolsOf(lines),
    ...{ namespaces: value('namespaces') === 'yes', bubblewrap: value('bubblewrap') === 'yes' },
    closed: lines
      .filter((line) => line.startsWith('closed '))
      .map((line) => line.slice('closed '.length))
      .filter((setting) => /^[a-z_.]+=\d+$/.test(setting)),
    ...{ restricted: value('restricted') === 'yes', systemd: value('systemd') === 'yes' },
    ...{ kills: value('kills') === 'yes', lingers: value('lingers') === 'yes' },
  };
}

/** ms for a worker to say it all: some tools take their time. */
const SURVEY_MS = 60_000;

export async function survey(
  place: ShellPlace,
  tools: readonly string[],
  options: Omit<ShellOptions, 'timeoutMs'>,
): Promise<Result<Survey>> {
  const begun = performance.now();
  const ended = await runScript(place, surveyScript(tools), { ...options, timeoutMs: SURVEY_MS });
  if (!ended.ok) return ended;
  const parsed = parseSurvey(ended.value.out);
  if (parsed === undefined)
    return fail(
      `its shell did not answer (exit code ${ended.value.code}): ${ended.value.err.trim().slice(-200)}`,
      'a POSIX sh is needed there',
    );
  return ok({ ...parsed, tookMs: performance.now() - begun });
}

/** Version numbers of glibc in the words of getconf or ldd; undefined for another libc. */
function glibc(text: string): readonly [number, number] | undefined {
  if (!/glibc|GNU libc/i.test(text)) return undefined;
  const found = /(\d+)\.(\d+)\s*$/.exec(text.trim());
  return found === null ? undefined : [Number(found[1]), Number(found[2])];
}

/** Why commands of this machine can never run there; undefined when they may. */
export function unsuited(
  there: Survey,
  here: { readonly arch: string; readonly libc: string },
): string | undefined {
  if (there.kernel !== 'Linux') return `it runs ${there.kernel || 'no Linux'}`;
  if (there.arch !== here.arch) return `it is ${there.arch}, this machine ${here.arch}`;
  const [ours, theirs] = [glibc(here.libc), glibc(there.libc)];
  if (ours === undefined) return undefined;
  if (theirs === undefined) return `its libc is not glibc (${there.libc})`;
  // What is linked against a newer one does not run here (daemon/select/eligible.ts).
  const same = theirs[0] === ours[0] && theirs[1] === ours[1];
  return same ? undefined : `its libc is glibc ${theirs.join('.')}, and ours ${here.libc}`;
}
