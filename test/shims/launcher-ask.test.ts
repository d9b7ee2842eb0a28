/** What a launcher finds out about its descriptors and surroundings before it asks. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ownView } from '../../src/base/view.ts';
import { Shared } from '../../src/protocol/shim.ts';
import { LauncherWorld, question, type Listener } from './launcher-rig.ts';

describe.each(['plain', 'sanitized'] as const)(
  'the question of a launcher (%s build)',
  (variant) => {
    let world: LauncherWorld;
    let front: Listener;
    beforeEach(async () => {
      world = new LauncherWorld(variant);
      front = await world.listen('front.sock');
    });
    afterEach(async () => {
      await world.dispose();
    });

    // A sanitizer that looks for leaks cannot itself be traced.
    it.each(
      variant === 'plain'
        ? [[''], ['strace -f -qq -o /dev/null -e inject=kcmp:error=EPERM']]
        : [['']],
    )('tells one opening of a file from two (%s)', async (tracer) => {
      for (const [redirections, shared] of [
        ['> f 2>&1', Shared.outErr],
        ['> f 2> f', 0],
        ['>> f 2>> f', 0],
        ['<> f >&0', Shared.inOut],
        ['> f 2> g', 0],
      ] as const) {
        const run = world.line(`${tracer} gcc x ${redirections}`);
        const { peer, ask } = await question(front);
        expect([redirections, ask.shared]).toEqual([redirections, shared]);
        peer.send({ type: 'local', reason: 'test', notice: '', lease: 0n });
        expect((await run.end).code).toBe(0);
      }
    });

    it('only tells of what only asks, and waits for nobody', async () => {
      const run = world.call('gcc', ['--version', 'x']);
      const peer = await front.accept();
      const tell = await peer.next('tell');
      // Nobody answers.
      expect((await run.end).code).toBe(0);
      const words = [tell.tool, tell.cwd, ...tell.argv.slice(1)];
      expect(words.map(String)).toEqual(['gcc', world.root, '--version', 'x']);
      for (const [args, env] of [
        [['x', '--version'], {}],
        [['-V'], {}],
        [['--version'], { RCH_VERBOSE: '1' }],
        [['--version'], { RCH_DRY_RUN: '1' }],
      ] as const) {
        const asking = world.call('gcc', [...args], { env });
        const { peer: asked } = await question(front);
        asked.send({ type: 'local', reason: 'test', notice: '', lease: 0n });
        expect((await asking.end).code).toBe(0);
      }
    });

    it('only tells of what a configure script compiles to see whether it can', async () => {
      for (const args of [
        ['-c', '-g', 'conftest.c'],
        ['-o', 'conftest', '-O2', 'a/conftest.cpp', '-lm'],
      ]) {
        const run = world.call('gcc', args);
        const tell = await (await front.accept()).next('tell');
        expect((await run.end).code).toBe(0);
        expect(tell.argv.slice(1).map(String)).toEqual(args);
      }
      for (const [tool, args, env] of [
        ['gcc', ['-c', 'conftest.c', 'x.c'], {}],
        ['gcc', ['-c', 'x.c', '-o', 'conftest'], {}],
        ['gcc', ['@conftest', 'conftest.c'], {}],
        ['gcc', ['-c', 'conftest.c'], { RCH_FORCE_REMOTE: '1' }],
        ['make', ['conftest'], {}],
      ] as const) {
        const asking = world.call(tool, [...args], { env });
        const { peer: asked } = await question(front);
        asked.send({ type: 'local', reason: 'test', notice: '', lease: 0n });
        expect((await asking.end).code).toBe(0);
      }
    });

    it('says from which view of files and processes it asks', async () => {
      const run = world.call('gcc', ['x']);
      const { peer, ask } = await question(front);
      expect(ask.view).toMatch(/^pid:\d+ mnt:\d+ root:\d+:\d+$/);
      expect(ask.view).toBe(ownView());
      peer.send({ type: 'local', reason: 'test', notice: '', lease: 0n });
      await run.end;
    });
  },
);
