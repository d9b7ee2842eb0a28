import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  exited,
  LauncherWorld,
  question,
  remoteTo,
  started,
  type Listener,
  type Peer,
} from './launcher-rig.ts';

describe.each(['plain', 'sanitized'] as const)(
  'standard input of a remote job (%s build)',
  (variant) => {
    let world: LauncherWorld;
    let front: Listener;
    let link: Listener;
    beforeEach(async () => {
      world = new LauncherWorld(variant);
      front = await world.listen('front.sock');
      link = await world.listen('link-w.sock');
      world.tool('cat', 'exec /bin/cat "$@"');
    });
    afterEach(async () => {
      await world.dispose();
    });

    /** Gathers what is sent until its end. */
    async function whole(peer: Peer): Promise<string> {
      let text = '';
      for (;;) {
        const message = await peer.next('stdin', 'stdinEof');
        expect(Number(message.offset)).toBe(text.length);
        if (message.type === 'stdinEof') return text;
        text += message.data.toString('latin1');
      }
    }

    const sources: Readonly<Record<string, (command: string, text: string) => string>> = {
      file: (command) => `{ ${command}; } < list`,
      pipe: (command) => `cat list | { ${command}; }`,
      fifo: (command) => `mkfifo fifo; cat list > fifo & { ${command}; } < fifo; wait`,
      'here-document': (command, text) => `{ ${command}; } <<'END'\n${text}END`,
    };
    const text = 'one\ntwo\nthree\n';

    describe.each(Object.keys(sources))('from a %s', (name) => {
      const source = sources[name] ?? (() => '');
      it('is sent whole, and consumed exactly as far as the tool consumed it', async () => {
        writeFileSync(join(world.root, 'list'), text);
        const run = world.line(source('gcc x; cat', text));
        const { peer } = await started(world, front, link);
        expect(await whole(peer)).toBe(text);
        peer.send({ type: 'stdinUsed', offset: 2n }, { type: 'stdinUsed', offset: 6n }, exited(0));
        expect((await run.end).stdout.toString()).toBe('o\nthree\n');
      });

      it('keeps the list of a `while read` loop when the tool takes nothing', async () => {
        writeFileSync(join(world.root, 'list'), text);
        const run = world.line(
          source('while read -r word; do gcc "$word"; echo "did $word"; done', text),
        );
        for (const word of ['one', 'two', 'three']) {
          const { peer, ask } = await started(world, front, link);
          expect(ask.argv.map(String)).toEqual(['gcc', word]);
          peer.send(exited(0));
        }
        expect((await run.end).stdout.toString()).toBe('did one\ndid two\ndid three\n');
      });
    });

    it('comes from a socket just so', async () => {
      const run = world.line('gcc x; cat', { input: text });
      const { peer, ask } = await started(world, front, link);
      expect(ask.inKind).toBe(5);
      expect(await whole(peer)).toBe(text);
      peer.send({ type: 'stdinUsed', offset: 4n }, exited(0));
      expect((await run.end).stdout.toString()).toBe('two\nthree\n');
    });

    it.each(['/dev/null', '&-'])('has ended at once from %s', async (from) => {
      const run = world.line(`gcc x <${from}`);
      const { peer } = await started(world, front, link);
      expect(await whole(peer)).toBe('');
      peer.send(exited(0));
      expect((await run.end).code).toBe(0);
    });

    it('makes the command local when it cannot be looked at without taking it', async () => {
      world.tool('gcc', 'head -c 3');
      const run = world.line('gcc x < /dev/zero');
      const { peer } = await question(front);
      peer.send(remoteTo(world));
      expect((await run.end).stdout).toEqual(Buffer.alloc(3));
      expect(link.count).toBe(0);
    });

    it.each(['pipe', 'file'])(
      'is sent no more than 64 KiB ahead from a %s, and arrives whole',
      async (name) => {
        const big = Buffer.alloc(1_000_000, 'some lines of input\n');
        writeFileSync(join(world.root, 'list'), big);
        const run = world.line((sources[name] ?? (() => ''))('gcc x; cat', ''));
        const { peer } = await started(world, front, link);
        const parts: Buffer[] = [];
        let got = 0;
        let used = 0;
        for (;;) {
          const message = await peer.next('stdin', 'stdinEof');
          if (message.type === 'stdinEof') break;
          parts.push(message.data);
          got += message.data.length;
          expect(got - used).toBeLessThanOrEqual(65536);
          used = got - 5000 > used ? got - 5000 : got;
          peer.send({ type: 'stdinUsed', offset: BigInt(used) });
        }
        expect(Buffer.concat(parts).equals(big)).toBe(true);
        peer.send({ type: 'stdinUsed', offset: BigInt(big.length - 7) }, exited(0));
        expect((await run.end).stdout).toEqual(big.subarray(big.length - 7));
      },
    );

    it.each(['pipe', 'socket'])(
      'sends what comes later, though earlier input stays unread, from a %s',
      async (kind) => {
        const line = kind === 'pipe' ? '/bin/cat | { gcc x; cat; }' : 'gcc x; cat';
        const run = world.line(line);
        const { peer } = await started(world, front, link);
        for (const [offset, word] of [
          [0, 'first'],
          [5, 'second'],
          [11, 'third'],
        ] as const) {
          run.child.stdin?.write(word);
          expect(await peer.next('stdin')).toMatchObject({
            offset: BigInt(offset),
            data: Buffer.from(word),
          });
        }
        run.child.stdin?.end();
        expect((await peer.next('stdinEof')).offset).toBe(16n);
        peer.send({ type: 'stdinUsed', offset: 11n }, exited(0));
        expect((await run.end).stdout.toString()).toBe('third');
      },
    );

    it('rests while nothing happens, though input lies unread', async () => {
      const run = world.line('printf unread | { gcc x; }; true');
      const { peer } = await started(world, front, link);
      await peer.next('stdin');
      await peer.next('stdinEof');
      // What a busy loop costs grows for ever: that of one that rests stands still, once it has come to rest.
      const rests = world.line(
        `p=$(pgrep -P $(pgrep -P ${run.pid} | tail -1) || pgrep -P ${run.pid})
         [ -n "$p" ] || exit; cost() { cut -d' ' -f14,15 /proc/$p/stat; }
         for look in $(seq 100); do before=$(cost); sleep 0.3; [ "$(cost)" != "$before" ] || { echo rests; break; }; done`,
      );
      expect((await rests.end).stdout.toString()).toBe('rests\n');
      peer.send(exited(0));
      await run.end;
    });

    it('refuses a claim to have read what was never sent', async () => {
      const run = world.line('printf abc | gcc x');
      const { peer } = await started(world, front, link);
      peer.send({ type: 'stdinUsed', offset: 1000n });
      expect((await run.end).code).toBe(102);
    });
  },
);
