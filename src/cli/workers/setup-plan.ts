/** What would make a worker fit, decided from what its shell said. Does nothing. */
import { fail, ok, type Result } from '../../base/result.ts';
import { installScript, managerOf, packagesOf, type Manager } from './managers.ts';
import { quoted, type Step } from './step.ts';
import type { Survey } from './survey.ts';

export type Plan = {
  readonly steps: readonly Step[];
  /** What is there already. */
  readonly there: readonly string[];
  /** Tools and packages that are looked for afterwards. */
  readonly wanted: readonly string[];
};

export type Wanted = {
  /** Tools of this machine that builds may need; those missing there are installed. */
  readonly tools: readonly string[];
  /** Named by the user: tools or packages. */
  readonly named: readonly string[];
  /** Packages that its package manager calls installed. */
  readonly installed: readonly string[];
};

/** No character that a shell or a package manager reads as anything but a name. */
const packageName = /^[A-Za-z0-9][A-Za-z0-9+._:-]*$/;

/** Brought to the worker with each build, so that they are the very ones used here. */
const carried = new Set(['cargo', 'rustc', 'rust', 'rustup']);

/** The names of `--with`, checked. */
export function namesOf(given: string | undefined): Result<readonly string[]> {
  const names = (given ?? '').split(',').filter((name) => name !== '');
  const wrong = names.find((name) => !packageName.test(name));
  if (wrong !== undefined)
    return fail(
      `"${wrong}" is no name of a tool or package`,
      'rch workers setup ID --with gcc,cmake',
    );
  const brought = names.find((name) => carried.has(name));
  if (brought !== undefined)
    return fail(
      `${brought} need not be installed: the Rust toolchain used here is brought to the worker`,
      'rch workers sync ID brings it ahead of the first build',
    );
  return ok([...new Set(names)]);
}

/** One command runs it. */
export const presentBy = ({ tools }: Pick<Survey, 'tools'>, name: string): boolean =>
  Object.hasOwn(tools, name === 'bubblewrap' ? 'bwrap' : name);

/** By which a job can see its files at the paths they have here. */
export const sandboxed = ({ namespaces, bubblewrap }: Survey): boolean => namespaces || bubblewrap;

function packagesStep(manager: Manager, missing: readonly string[]): Step[] {
  const packages = [...new Set(missing.flatMap((name) => packagesOf(manager, name)))];
  if (packages.length === 0) return [];
  return [
    {
      id: 'packages',
      what: `install ${packages.join(' ')} by ${manager.name}`,
      why: `it lacks ${missing.join(', ')}`,
      script: installScript(manager, packages),
      root: manager.root,
    },
  ];
}

const PROFILE = '/etc/apparmor.d/rch-bwrap';

/**
 * bubblewrap may make user namespaces once it has a profile that says so (Ubuntu 23.10 and later; apparmor.d(5),
 * "userns"). A profile of the distribution's own for it is left as it is.
 */
function apparmorStep(): Step {
  const profile = [
    'abi <abi/4.0>,',
    'include <tunables/global>',
    'profile rch-bwrap /usr/bin/bwrap flags=(unconfined) {',
    '  userns,',
    '}',
  ];
  return {
    id: 'apparmor',
    what: `allow bubblewrap to make user namespaces, by ${PROFILE}`,
    why: 'AppArmor keeps programs without a profile from them',
    script: [
      "if grep -rqsE '^(profile +[^ ]+ +)?/usr/bin/bwrap( .*)?[{]' /etc/apparmor.d --exclude=rch-bwrap --exclude-dir=disable; then",
      '  systemctl reload apparmor 2>/dev/null || true',
      'else',
      `  printf "%s\\n" ${profile.map((line) => `"${line}"`).join(' ')} >${PROFILE} &&`,
      `  apparmor_parser -r ${PROFILE}`,
      'fi',
    ].join('\n'),
    root: true,
  };
}

const SETTINGS = '/etc/sysctl.d/60-rch.conf';

/** sysctl.d(5) for the next start, /proc/sys for now. */
function namespacesStep(closed: readonly string[]): Step {
  const now = closed.map((setting) => {
    const [name = '', value = ''] = setting.split('=');
    return `echo ${value} >/proc/sys/${name.replaceAll('.', '/')}`;
  });
  return {
    id: 'namespaces',
    what: `set ${closed.join(' and ')}, by ${SETTINGS}`,
    why: 'its kernel lets no account make user namespaces',
    script: [
      'mkdir -p /etc/sysctl.d &&',
      `printf "%s\\n" ${closed.join(' ')} >${SETTINGS} &&`,
      now.join(' &&\n'),
    ].join('\n'),
    root: true,
  };
}

function lingerStep(user: string): Step {
  return {
    id: 'linger',
    what: `loginctl enable-linger ${user}`,
    why: 'logind ends what a session leaves behind, and so the agent between two connections',
    script: `loginctl enable-linger ${quoted(user)}`,
    root: true,
  };
}

/** How the sandbox is to be had; bubblewrap is installed where the kernel alone does not forbid namespaces. */
function sandboxSteps(survey: Survey): Step[] {
  if (sandboxed(survey)) return [];
  if (survey.closed.length > 0) return [namespacesStep(survey.closed)];
  return survey.restricted ? [apparmorStep()] : [];
}

/** What there is to do; a failure where the worker has no package manager we know and something is missing. */
export function planFor(survey: Survey, wanted: Wanted): Result<Plan> {
  const [name] = survey.managers;
  const manager = name === undefined ? undefined : managerOf(name);
  const wantsBubblewrap = !sandboxed(survey) && survey.closed.length === 0;
  const asked = [
    ...wanted.tools,
    ...wanted.named,
    ...['tar', 'gzip'],
    ...(wantsBubblewrap ? ['bubblewrap'] : []),
  ];
  const all = [...new Set(asked)];
  const isThere = (each: string): boolean =>
    presentBy(survey, each) || wanted.installed.includes(each);
  const missing = all.filter((each) => !isThere(each));
  if (missing.length > 0 && manager === undefined)
    return fail(
      `it lacks ${missing.join(', ')}, and has none of apt-get, dnf, pacman, zypper, apk and brew`,
      `install there: ${missing.join(' ')}`,
    );
  const none = missing.filter(
    (each) => manager !== undefined && packagesOf(manager, each).length === 0,
  );
  if (none.length > 0) return fail(`${name ?? ''} has no package for ${none.join(', ')}`);
  const steps: Step[] = [
    ...(manager === undefined ? [] : packagesStep(manager, missing)),
    ...sandboxSteps(survey),
    ...(survey.systemd && survey.kills && !survey.lingers ? [lingerStep(survey.user)] : []),
  ];
  return ok({ steps, there: all.filter(isThere), wanted: missing });
}

/** Asks the package manager about names that may be packages; prints `installed NAME`. */
export function queryScript(survey: Survey, names: readonly string[]): string | undefined {
  const [name] = survey.managers;
  if (name === undefined || names.length === 0) return undefined;
  const { query } = managerOf(name);
  return [...names.map((each) => `${query(each)} && echo "installed ${each}"`), ':'].join('\n');
}
