/** Commands on a terminal: nobody who types, looks, stops, interrupts or leaves can tell where they run. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Gate, toolText, type Tool } from '../rig/gate.ts';
import { Screen } from '../rig/screen.ts';
import { World, type HistoryRow } from '../rig/world.ts';
import { processesWith } from '../shims/run-rig.ts';
import { type Files, write } from './projects.ts';
import { until } from './trouble.ts';

let world: World;
let gate: Gate;
let base: string;
let count = 0;
/** What a test opened; one that failed may have left them. */
const screens: Screen[] = [];

/** A make whose one recipe is a tool that the test leads. */
const led = (): Files => ({
  Makefile: `all:\n\t@/usr/bin/python3 tool.py ${gate.port}\n\t@pwd > made\n`,
  'tool.py': toolText,
});

/** One way of going through a test: with the shims, or with the real tools. */
type Way = { readonly remote: boolean; readonly folder: string; readonly mark: string };

/** Opens a terminal with a command in the folder. */
function open(way: Way, argv: readonly string[], env: Files = {}): Screen {
  const screen = Screen.open(world, argv, {
    cwd: way.folder,
    shims: way.remote,
    env: { RCH_FORCE_REMOTE: '1', MARK: way.mark, ...env },
  });
  screens.push(screen);
  return screen;
}

/** An interactive shell, which has job control and prints a short prompt. */
async function shell(way: Way): Promise<Screen> {
  const screen = open(way, ['bash', '--norc', '--noprofile', '--noediting', '-i'], {
    PS1: 'prompt> ',
    HISTFILE: '/dev/null',
  });
  await screen.sees('prompt> ');
  return screen;
}

/** A command between two looks at the modes of its terminal; both must be the same in the end. */
const modesAround = (command: string): string[] => [
  'bash',
  '-c',
  `stty -g > ../before; ${command}; code=$?; stty -g > ../after; exit $code`,
];

function expectModesRestored(): void {
  expect(readFileSync(join(base, 'after'), 'utf8')).toBe(
    readFileSync(join(base, 'before'), 'utf8'),
  );
}

async function last(): Promise<HistoryRow> {
  const [row] = await world.history(1);
  if (row === undefined) throw new Error('the daemon has no history');
  return row;
}

/** Nothing of the way's commands runs any more, and the worker's slots are free. */
async function nothingIsLeft(way: Way): Promise<void> {
  await until(
    () => Promise.resolve(processesWith(`MARK=${way.mark}`).length === 0),
    'were all processes gone',
  );
  if (!way.remote) return;
  await until(async () => {
    const status = JSON.parse(await world.rch(['status', '--json'])) as {
      workers: readonly { slots: { used: number } | null }[];
    };
    return status.workers.every((worker) => worker.slots?.used === 0);
  }, 'were all slots free');
}

/** Does the same here and there, at the same path, and gives what `act` returned of both. */
async function bothWays<T>(files: () => Files, act: (way: Way) => Promise<T>): Promise<[T, T]> {
  const folder = join(base, 'p');
  const once = async (remote: boolean): Promise<T> => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    write(folder, files());
    count += 1;
    return act({ remote, folder, mark: `terminals-${process.pid}-${count}` });
  };
  const here = await once(false);
  const there = await once(true);
  return [here, there];
}

/** As bothWays for commands that ran to their end; what they returned must be equal, and it was the worker. */
async function same<T>(files: () => Files, act: (way: Way) => Promise<T>): Promise<T> {
  const [here, there] = await bothWays(files, act);
  const row = await last();
  expect(row, row.reason).toMatchObject({ decision: 'remote', worker: 'embedded' });
  expect(there).toEqual(here);
  return there;
}

/** Runs a led make on a terminal, and gives its screen and end. */
async function ledOnScreen(
  way: Way,
  lead: (tool: Tool, screen: Screen) => Promise<void>,
): Promise<unknown[]> {
  const screen = open(way, modesAround('make'));
  const tool = await gate.tool();
  await lead(tool, screen);
  const end = await screen.end();
  expectModesRestored();
  return [screen.text, end];
}

describe('a command on a terminal', () => {
  beforeAll(async () => {
    gate = await Gate.open();
    world = await World.create(
      '[[workers]]\nid = "embedded"\ntransport = "embedded"\ntotal_slots = 8\n',
      '[output]\nnotice = "never"\n',
    );
    base = realpathSync(mkdtempSync(join(tmpdir(), 'rch-terminals-')));
    await world.start();
    // The first contact shows that it is waited for.
    await same(
      () => ({ Makefile: 'all:\n' }),
      (way) => open(way, ['make']).end(),
    );
  });
  afterEach(async () => {
    for (const screen of screens.splice(0)) await screen.shut();
    gate.forget();
  });
  afterAll(async () => {
    gate.close();
    await world.dispose();
    rmSync(base, { recursive: true, force: true });
  });

  it('shows the colours of gcc', async () => {
    const text = await same(
      () => ({ 'x.c': 'int main(void) { return y; }\n' }),
      async (way) => {
        const screen = open(way, modesAround('cc -c x.c'));
        expect(await screen.end()).toBe(1);
        expectModesRestored();
        return screen.text;
      },
    );
    expect(text).toContain('\u001b[01;31m');
  });

  it('is told of a change of the window', async () => {
    const [text] = await same(led, (way) =>
      ledOnScreen(way, async (tool, screen) => {
        await tool.does('print(os.get_terminal_size())');
        await tool.does('on(signal.SIGWINCH, "window")');
        screen.grow();
        await tool.says('window');
        await tool.does('print(os.get_terminal_size())');
        tool.begin('sys.exit()');
      }),
    );
    expect(text).toContain('lines=24)\r\nos.terminal_size(columns=80, lines=25)');
  });

  it('reads lines, passwords and keys, and leaves what it does not read', async () => {
    const [text] = await same(
      () => ({
        Makefile:
          'SHELL = /bin/bash\nall:\n\t@read -p "name? " x; echo "<$$x>"\n' +
          '\t@/usr/bin/python3 -c \'import getpass; print("<" + getpass.getpass() + ">")\'\n' +
          '\t@read -n 1 -s -p "key? " x; echo "<$$x>"\n\t@read -e -p "edit> " x; echo "<$$x>"\n',
      }),
      async (way) => {
        const screen = open(way, modesAround('make; read rest; echo "shell got $rest"'));
        for (const [prompt, keys] of [
          ['name? ', 'ada\n'],
          ['Password: ', 'secret\n'],
          ['key? ', 'k'],
          ['edit> ', 'abx\u007fc\r'],
        ] as const) {
          await screen.sees(prompt);
          screen.type(keys);
          await screen.sees('>\r\n');
        }
        screen.type('the rest\n');
        expect(await screen.end()).toBe(0);
        expectModesRestored();
        return [screen.text];
      },
    );
    expect(text).toContain('<abc>');
    expect(text).toContain('shell got the rest');
    expect(text).not.toMatch(/secret.*secret/s);
  });

  it('is ended by Ctrl-C, and by the second one if it outlives the first', async () => {
    for (const first of ['pass', 'on(signal.SIGINT, "first")']) {
      const [, code] = (await bothWays(led, async (way) => {
        const screen = await shell(way);
        screen.type('stty -g; make\n');
        const tool = await gate.tool();
        await tool.does(first);
        screen.type('\u0003');
        if (first !== 'pass') {
          await tool.says('first');
          await tool.does('signal.signal(signal.SIGINT, signal.SIG_DFL)');
          screen.type('\u0003');
        }
        await tool.dies();
        await screen.sees('prompt> ');
        screen.type('echo "code=$?"; stty -g; exit\n');
        await screen.end();
        await nothingIsLeft(way);
        const modes = screen.text.match(/([0-9a-f]+:){30,}[0-9a-f]+/g) ?? [];
        expect(modes).toHaveLength(2);
        expect(modes[0]).toBe(modes[1]);
        return /code=(\d+)/.exec(screen.text)?.[1];
      })) as [string, string];
      // make itself exits with 2 when it hears of its child's end first.
      expect(['130', '2']).toContain(code);
      expect(await last()).toMatchObject({ decision: 'remote' });
    }
  });

  it('stops on Ctrl-Z, and goes on with fg and with bg', async () => {
    await bothWays(led, async (way) => {
      const screen = await shell(way);
      screen.type('stty -g; make\n');
      const tool = await gate.tool();
      screen.type('\u001a');
      await screen.sees('Stopped');
      await until(() => Promise.resolve(areStopped(way)), 'was every process of it stopped');
      screen.type('fg\n');
      await tool.does('print("in front")');
      await screen.sees('in front');
      screen.type('\u001a');
      await screen.sees('Stopped');
      screen.type('bg\n');
      await tool.does('print("behind")');
      await screen.sees('behind');
      screen.type('fg\n');
      await screen.sees('fg');
      tool.begin('sys.exit()');
      await tool.dies();
      screen.type('stty -g; exit\n');
      await screen.end();
      expect(readFileSync(join(way.folder, 'made'), 'utf8')).toBe(`${way.folder}\n`);
      const modes = screen.text.match(/([0-9a-f]+:){30,}[0-9a-f]+/g) ?? [];
      expect(modes[0], screen.text).toBe(modes[1]);
      await nothingIsLeft(way);
    });
    expect(await last()).toMatchObject({ decision: 'remote', exit: 0 });
  });

  it('ends when its window is closed, but under nohup and setsid goes on', async () => {
    const folders = ['plain', 'nohup', 'setsid'];
    await bothWays(
      () =>
        Object.fromEntries(
          folders.flatMap((name) =>
            Object.entries(led()).map(([path, text]) => [`${name}/${path}`, text]),
          ),
        ),
      async (way) => {
        const screen = await shell(way);
        screen.type('(cd nohup && nohup make > log 2>&1) &\n');
        const kept = [await gate.tool()];
        screen.type('(cd setsid && exec setsid make > log 2>&1 < /dev/null) &\n');
        kept.push(await gate.tool());
        screen.type('cd plain && make\n');
        const tool = await gate.tool();
        await screen.shut();
        await tool.dies();
        for (const each of kept) {
          await each.does('print("still here")');
          each.begin('sys.exit()');
          await each.dies();
        }
        await nothingIsLeft(way);
        for (const name of ['nohup', 'setsid']) {
          expect(readFileSync(join(way.folder, name, 'log'), 'utf8')).toMatch(
            /^(nohup: .*\n)?still here\n$/,
          );
          expect(readFileSync(join(way.folder, name, 'made'), 'utf8')).toBe(
            `${join(way.folder, name)}\n`,
          );
        }
      },
    );
    const rows = await world.history(3);
    expect(rows.map(({ decision }) => decision)).toEqual(['remote', 'remote', 'remote']);
  });

  it('is ended by timeout', async () => {
    await bothWays(led, async (way) => {
      const screen = open(way, modesAround('timeout 2 make'));
      expect(await screen.end()).toBe(124);
      expectModesRestored();
      await nothingIsLeft(way);
      gate.forget();
    });
  });

  it('leaves nothing behind when the shim is killed', async () => {
    await bothWays(led, async (way) => {
      const pid = join(way.folder, 'pid');
      const screen = open(way, modesAround('make & echo $! > pid; wait $!'));
      const tool = await gate.tool();
      await until(
        () => Promise.resolve(existsSync(pid) && /^\d+\n$/.test(readFileSync(pid, 'utf8'))),
        'was its process known',
      );
      process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
      expect(await screen.end()).toBe(137);
      // Here nobody ends the child of a make that was killed.
      if (!way.remote) tool.begin('sys.exit()');
      await tool.dies();
      await nothingIsLeft(way);
    });
  });
});

/** Whether the processes that the way began, but for its shell, are stopped (proc(5)). */
function areStopped(way: Way): boolean {
  const states = processesWith(`MARK=${way.mark}`).map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\((.*)\) (.).*$/s, '$1 $2');
    } catch {
      return '';
    }
  });
  const tools = states.filter((each) => /^(make|python3|rch-shim)/.test(each));
  return tools.length > 1 && tools.every((each) => each.endsWith(' T'));
}
