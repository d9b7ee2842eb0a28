/** When a configuration that changed holds: at once, but not while somebody is in the middle of writing it. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Settings } from '../../../daemon/front/settings.ts';
import { layoutFor, workersFile } from '../../../src/base/layout.ts';

/** More than a look holds, ms. */
const NEXT_LOOK = 30;

const one = "[[workers]]\nid = 'one'\nhost = 'one.example'\nuser = 'u'\n";
const two = one.replaceAll('one', 'two');

let home: string;
let file: string;
let settings: Settings;

/** Which workers there are, looked at anew. */
async function workers(): Promise<string[]> {
  await delay(NEXT_LOOK);
  const outcome = settings.current();
  if (!outcome.ok) throw new Error(outcome.failure.reason);
  return outcome.value.config.workers.map(({ id }) => id);
}

/** As if it had been written so long ago. */
function age(seconds: number): void {
  const at = Date.now() / 1000 - seconds;
  utimesSync(file, at, at);
}

function put(text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

describe('a list of workers', () => {
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'rch-settings-'));
    const layout = layoutFor({ HOME: home });
    file = workersFile(layout);
    mkdirSync(join(file, '..'), { recursive: true });
    put(one);
    settings = new Settings(layout, home, () => undefined);
  });

  afterEach(() => {
    rmSync(home, { recursive: true, force: true });
  });

  it('holds at once when another file takes its place, also an empty one', async () => {
    expect(await workers()).toEqual(['one']);
    put(two);
    expect(await workers()).toEqual(['two']);
    put('');
    expect(await workers()).toEqual([]);
  });

  it('holds when it has stood still for a moment after it was written in place', async () => {
    writeFileSync(file, two);
    expect(await workers()).toEqual(['two']);
  });

  it('is not taken for empty while it is about to be written, and is when it stays so', async () => {
    writeFileSync(file, '');
    expect(await workers()).toEqual(['one']);
    writeFileSync(file, two);
    expect(await workers()).toEqual(['two']);
    writeFileSync(file, '');
    age(2);
    expect(await workers()).toEqual([]);
  });

  it('is gone when its file is', async () => {
    rmSync(file);
    expect(await workers()).toEqual([]);
  });
});

describe("a project's own file", () => {
  let project: string;
  let own: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'rch-settings-'));
    project = join(home, 'p');
    own = join(project, '.rch', 'config.toml');
    mkdirSync(join(own, '..'), { recursive: true });
    settings = new Settings(layoutFor({ HOME: home }), home, () => undefined);
  });
  afterEach(() => {
    rmSync(home, { recursive: true, force: true });
  });

  it.each([
    [
      'mended',
      () => {
        writeFileSync(own, '[project]\nenabled = true\n');
      },
    ],
    [
      'removed',
      () => {
        rmSync(own);
      },
    ],
  ])('is no trouble any more once it is %s, without a command there', async (_, mend) => {
    writeFileSync(own, '[project]\nenabeld = true\n');
    expect(settings.forProject(project).ok).toBe(false);
    expect(settings.troubles).toMatchObject([{ file: own, problems: [{ line: 2, column: 1 }] }]);
    mend();
    await delay(NEXT_LOOK);
    expect(settings.troubles).toEqual([]);
    writeFileSync(own, '[hooks]\npre_transfer = "x"\n');
    await delay(NEXT_LOOK);
    expect(settings.forProject(project).ok).toBe(true);
    expect(settings.troubles).toMatchObject([{ untrusted: ['hooks.pre_transfer'] }]);
  });
});
