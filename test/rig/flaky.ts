/** A reporter of vitest: names each test that passed only when it was tried again, and what failed before. */
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Reporter, TestCase } from 'vitest/node';

/** Characters of a reason. */
const MOST = 2000;

export default class Flaky implements Reporter {
  /** Set by scripts/test: the notes that are printed at the very end. */
  readonly #notes = process.env['RCH_TEST_NOTES'];

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky !== true) return;
    const reason = test.result().errors?.[0]?.message ?? 'no reason was kept';
    const said = stripVTControlCharacters(reason).slice(0, MOST).trim().replaceAll('\n', '\n    ');
    const file = relative('.', test.module.moduleId);
    const line = `flaky: ${file}: ${test.fullName}: passed when tried again, after\n    ${said}\n`;
    if (this.#notes === undefined) process.stderr.write(line);
    else appendFileSync(this.#notes, line);
  }
}
