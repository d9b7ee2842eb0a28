/**
 * A reporter of vitest: writes down the files that are worth a second run, one a line, relative to the top. None of them
 * where a test failed that decides (tag `decisive`), or where so many failed that it was not by chance.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

/** Files of one run that may fail by chance. */
const MOST = 5;

function failedDecisively(module: TestModule): boolean {
  return [...module.children.allTests('failed')].some((test) => test.tags.includes('decisive'));
}

export default class Again implements Reporter {
  /** Set by scripts/test. */
  readonly #list = process.env['RCH_TEST_AGAIN'];

  onTestRunEnd(modules: readonly TestModule[]): void {
    if (this.#list === undefined) return;
    rmSync(this.#list, { force: true });
    const failed = modules.filter((module) => module.state() === 'failed');
    if (failed.length > MOST || failed.some(failedDecisively)) return;
    const paths = failed.map((module) => `${relative('.', module.moduleId)}\n`);
    writeFileSync(this.#list, paths.join(''));
  }
}
