import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GitObjects } from '../../../daemon/sync/git-objects.ts';
import { folder, value } from '../../tree/rig.ts';

function git(cwd: string, ...args: string[]): string {
  const env = {
    PATH: process.env['PATH'],
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@example.org',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@example.org',
  };
  const config = ['-c', 'protocol.file.allow=always', '-c', 'init.defaultBranch=main'];
  return execFileSync('git', [...config, ...args], { cwd, env, encoding: 'utf8', stdio: 'pipe' });
}

/** A repository with a history of files that are no longer in it. */
function repository(path: string): string {
  fs.mkdirSync(path, { recursive: true });
  git(path, 'init', '-q');
  for (const round of [1, 2, 3]) {
    fs.writeFileSync(join(path, 'large'), randomBytes(300_000));
    fs.writeFileSync(join(path, `file${round}`), `content ${round}\n`);
    fs.mkdirSync(join(path, 'sub'), { recursive: true });
    fs.writeFileSync(join(path, 'sub', 'x'), `${round}`);
    git(path, 'add', '-A');
    git(path, 'commit', '-qm', `commit ${round}`);
    if (round === 1) git(path, 'tag', '-am', 'first', 'v1.0');
  }
  fs.writeFileSync(join(path, 'large'), 'small now');
  fs.symlinkSync('file1', join(path, 'link'));
  git(path, 'add', '-A');
  git(path, 'commit', '-qm', 'last');
  git(path, 'branch', 'other', 'HEAD~2');
  return path;
}

const questions = [
  ['rev-parse', 'HEAD'],
  ['rev-parse', '--short', 'HEAD~2'],
  ['describe', '--tags', '--long', '--dirty', '--always'],
  ['describe', '--all'],
  ['status', '--porcelain'],
  ['diff'],
  ['diff', '--cached'],
  ['diff', 'HEAD', '--stat'],
  ['log', '-1', '--format=%h %ci %s %d'],
  ['log', '--format=%H'],
  ['rev-list', '--count', '--all'],
  ['for-each-ref'],
  ['ls-tree', '-r', 'HEAD'],
  ['show', 'HEAD:file2'],
  ['name-rev', 'HEAD~1'],
  ['branch', '-v'],
];

/** What git says to each question: `work` in which it is asked. */
function answers(work: string, asked = questions): string[] {
  return asked.map((args) => {
    try {
      return git(work, ...args);
    } catch (thrown) {
      return `failed: ${String(thrown)}`;
    }
  });
}

/** A copy of the repository as a worker has it: all but the store, for which ours stands in. */
function carried(path: string, objects: string, name = 'there'): string {
  const there = join(path, '..', name);
  fs.rmSync(there, { recursive: true, force: true });
  execFileSync('cp', ['-a', path, there]);
  fs.rmSync(join(there, '.git/objects'), { recursive: true });
  execFileSync('cp', ['-a', objects, join(there, '.git/objects')]);
  return there;
}

/** Everything below a folder with times and contents, to see that it was only read. */
function print(path: string): string {
  return execFileSync('sh', ['-c', 'find . -printf "%p %s %T@ %C@ %m\n" | sort'], {
    cwd: path,
    encoding: 'utf8',
  });
}

function bytesBelow(path: string): number {
  return Number(execFileSync('du', ['-sb', path], { encoding: 'utf8' }).split('\t')[0]);
}

test('git answers with the stand-in as with the whole store, which was only read', async () => {
  const top = folder();
  const path = repository(join(top, 'here'));
  const store = new GitObjects(join(path, '.git'), join(top, 'ours'));
  for (const change of [
    () => undefined,
    () => {
      fs.writeFileSync(join(path, 'file1'), 'edited\n');
    },
    () => {
      git(path, 'commit', '-qam', 'more');
      git(path, 'tag', '-am', 'again', 'v2.0');
      git(path, 'checkout', '-q', '--detach', 'HEAD~1');
      git(path, 'gc', '-q');
      fs.writeFileSync(join(path, 'file1'), 'staged\n');
      git(path, 'add', 'file1');
      fs.writeFileSync(join(path, 'fresh'), 'fresh');
      git(path, 'add', '--intent-to-add', 'fresh');
    },
  ]) {
    change();
    const before = print(path);
    value(await store.refresh());
    expect(print(path)).toBe(before);
    const there = answers(carried(path, store.objects));
    expect(there).toEqual(answers(path));
    expect(there.filter((each) => each.startsWith('failed'))).toEqual([]);
  }
  expect(bytesBelow(store.objects)).toBeLessThan(40_000);
  expect(bytesBelow(join(path, '.git/objects'))).toBeGreaterThan(900_000);
  // What adds to the store does it here alone, and what is not held is said to be missing, not guessed.
  expect(answers(carried(path, store.objects), [['show', 'HEAD~2:large']])[0]).toMatch(/^failed/);
});

test('a repository that did not change costs no git, and what was held outlives us', async () => {
  const top = folder();
  const path = repository(join(top, 'here'));
  value(await new GitObjects(join(path, '.git'), join(top, 'ours')).refresh());
  const packs = fs.readdirSync(join(top, 'ours/objects/pack'));
  const again = new GitObjects(join(path, '.git'), join(top, 'ours'));
  const search = process.env['PATH'];
  process.env['PATH'] = '/nonexistent';
  try {
    value(await again.refresh());
  } finally {
    process.env['PATH'] = search;
  }
  expect(fs.readdirSync(join(top, 'ours/objects/pack'))).toEqual(packs);
  for (let round = 0; round < 8; round++) {
    git(path, 'commit', '-q', '--allow-empty', '-m', `round ${round}`);
    value(await again.refresh());
  }
  expect(fs.readdirSync(join(top, 'ours/objects/pack')).length).toBeLessThan(20);
  const asked = [['log', '--format=%H'], ['status', '--porcelain'], ['diff']];
  expect(answers(carried(path, again.objects), asked)).toEqual(answers(path, asked));
});

test('worktrees, alternates, shallow clones and unborn branches answer too', async () => {
  const top = folder();
  const path = repository(join(top, 'here'));
  git(path, 'worktree', 'add', '-q', '--detach', join(top, 'linked'), 'HEAD~1');
  const main = new GitObjects(join(path, '.git'), join(top, 'ours'));
  value(await main.refresh());
  const few = [
    ['describe', '--long', '--dirty', '--always'],
    ['status', '--porcelain'],
    ['diff', 'HEAD'],
    ['log', '--format=%H'],
  ];
  const linked = answers(join(top, 'linked'), few);
  const kept = join(top, 'objects-kept');
  fs.renameSync(join(path, '.git/objects'), kept);
  execFileSync('cp', ['-a', main.objects, join(path, '.git/objects')]);
  expect(answers(join(top, 'linked'), few)).toEqual(linked);
  fs.rmSync(join(path, '.git/objects'), { recursive: true });
  fs.renameSync(kept, join(path, '.git/objects'));

  git(top, 'clone', '-q', '--shared', path, 'borrowing');
  git(top, 'clone', '-q', '--depth=2', `file://${path}`, 'shallow');
  for (const name of ['borrowing', 'shallow']) {
    const store = new GitObjects(join(top, name, '.git'), join(top, `${name}-ours`));
    value(await store.refresh());
    const there = carried(join(top, name), store.objects, `${name}-there`);
    expect(fs.existsSync(join(there, '.git/objects/info/alternates'))).toBe(false);
    expect(answers(there, few)).toEqual(answers(join(top, name), few));
  }

  git(top, 'init', '-q', 'unborn');
  fs.writeFileSync(join(top, 'unborn/a'), 'a');
  git(join(top, 'unborn'), 'add', 'a');
  const store = new GitObjects(join(top, 'unborn/.git'), join(top, 'unborn-ours'));
  value(await store.refresh());
  const asked = [['status', '--porcelain'], ['diff']];
  const there = carried(join(top, 'unborn'), store.objects, 'unborn-there');
  expect(answers(there, asked)).toEqual(answers(join(top, 'unborn'), asked));
});

test('what cannot be read is a reason', async () => {
  const top = folder();
  const failed = await new GitObjects(join(top, 'none/.git'), join(top, 'ours')).refresh();
  expect(failed.ok).toBe(false);
});
