/** Runs each test twice in the same world, where RCH_TEST_TWICE is set: what cannot be run again fails its second try. */
import { TestRunner } from 'vitest';

export default class Twice extends TestRunner {
  override async onBeforeRunTask(
    task: Parameters<TestRunner['onBeforeRunTask']>[0],
  ): Promise<void> {
    task.repeats = 1;
    await super.onBeforeRunTask(task);
  }
}
