/**
 * Real projects, taken when a test asks for them and kept in a cache outside the repository
 * (`~/.cache/rch-tests`): Debian's source packages, by an apt of our own configuration that leaves the system's alone.
 */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where what was taken from registries stays between runs. */
export const sourceCache = join(homedir(), '.cache', 'rch-tests');

/** ms that a registry may take for one answer, and others before us for theirs. */
const PATIENCE = 500_000;

function release(): { id: string; codename: string } {
  const text = readFileSync('/etc/os-release', 'utf8');
  const value = (key: string): string =>
    new RegExp(`^${key}="?([^"\\n]*)`, 'm').exec(text)?.[1] ?? '';
  return { id: value('ID'), codename: value('VERSION_CODENAME') };
}

/** The mirror that this machine's apt takes packages of its release from. */
async function mirror(codename: string): Promise<string> {
  const { stdout } = await run('apt-get', [
    'indextargets',
    '--format',
    '$(RELEASE) $(REPO_URI)',
    'Created-By: Packages',
  ]);
  const found = stdout
    .split('\n')
    .map((line) => line.split(' '))
    .find(([name]) => name === codename)?.[1];
  if (found === undefined) throw new Error(`apt has no source for ${codename}`);
  return found;
}

/** Options that give apt lists of sources only, in a folder of ours. */
async function aptOptions(): Promise<string[]> {
  const top = join(sourceCache, 'apt');
  mkdirSync(join(top, 'lists', 'partial'), { recursive: true });
  mkdirSync(join(top, 'cache', 'archives', 'partial'), { recursive: true });
  const { id, codename } = release();
  const list = join(top, 'deb-src.sources');
  // In one step: an apt of another test may read it.
  writeFileSync(
    `${list}.${process.pid}`,
    `Types: deb-src\nURIs: ${await mirror(codename)}\nSuites: ${codename}\nComponents: main\n` +
      `Signed-By: /usr/share/keyrings/${id}-archive-keyring.gpg\n`,
  );
  renameSync(`${list}.${process.pid}`, list);
  return [
    ['Dir::Etc::sourceparts', '/dev/null'],
    ['Dir::Etc::sourcelist', list],
    ['Dir::State::Lists', join(top, 'lists')],
    ['Dir::Cache', join(top, 'cache')],
    ['APT::Sandbox::User', 'root'],
  ].flatMap(([key = '', value = '']) => ['-o', `${key}=${value}`]);
}

/**
 * By one process at a time, as apt wants it: test files run beside each other, and two of them take the same package. A
 * mirror that fails is asked again.
 */
async function download(name: string, into: string): Promise<void> {
  const apt = ['apt-get', ...(await aptOptions()), '-o', 'Acquire::Retries=5', '-q'];
  const lock = join(sourceCache, 'apt.lock');
  for (const order of [['update'], ['source', '--download-only', name]])
    await run('flock', [lock, ...apt, ...order], { cwd: into, timeout: PATIENCE });
}

/** Upstream's sources as a Debian source package carries them; not to be changed: tests work on copies. */
export async function debianSource(name: string): Promise<string> {
  const place = join(sourceCache, 'debian', release().codename, name);
  if (existsSync(place)) return place;
  mkdirSync(join(place, '..'), { recursive: true });
  const work = mkdtempSync(`${place}.`);
  try {
    await download(name, work);
    const description = readdirSync(work).find((each) => each.endsWith('.dsc'));
    if (description === undefined) throw new Error(`apt brought no description of ${name}`);
    const folder = join(work, 'unpacked');
    // Its signers' keys need not be here: apt checked the hashes against the signed list.
    await run('dpkg-source', ['--no-check', '--skip-patches', '-x', description, folder], {
      cwd: work,
    });
    try {
      renameSync(folder, place);
    } catch (thrown) {
      // Another test was there first.
      if (!existsSync(place)) throw thrown;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return place;
}
