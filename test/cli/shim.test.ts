import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Line } from './rig.ts';

let line: Line;
let home: string;
beforeEach(async () => {
  line = await Line.create();
  home = line.world.home;
});
afterEach(async () => {
  await line.world.dispose();
});

type Row = { tool: string; link: string | null; real: string | null; first_on_path: boolean };
const rows = async (env: Record<string, string> = {}): Promise<Row[]> =>
  ((await line.facts(['shim', 'status'], env)) as { dir: string; tools: Row[] }).tools;

describe('links', () => {
  it('stand for the tools that are installed, and for those asked for', async () => {
    const bin = join(line.world.root, 'bin');
    mkdirSync(bin);
    symlinkSync('/bin/true', join(bin, 'make'));
    rmSync(line.shims, { recursive: true });
    await line.say(['shim', 'install', '--no-profile', '--tool', 'gcc-12'], { PATH: bin });
    const linked = (await rows({ PATH: bin })).filter((row) => row.link !== null);
    expect(linked).toEqual([
      {
        tool: 'make',
        link: join(line.shims, 'make'),
        real: join(bin, 'make'),
        first_on_path: false,
      },
      { tool: 'gcc-12', link: join(line.shims, 'gcc-12'), real: null, first_on_path: false },
    ]);
    expect(readlinkSync(join(line.shims, 'make'))).toBe('../lib/rch-shim');
  });

  it('go when their tool is gone, unless they were asked for', async () => {
    const said = (await line.facts(['shim', 'install', '--no-profile', '--tool', 'cc'], {
      PATH: '/nowhere',
    })) as { removed: string[] };
    expect(said.removed).toContain('make');
    expect(existsSync(join(line.shims, 'make'))).toBe(false);
    expect(lstatSync(join(line.shims, 'cc')).isSymbolicLink()).toBe(true);
  });

  it('are known as first on PATH by device and inode, whatever the folder is called', async () => {
    const alias = join(line.world.root, 'alias');
    symlinkSync(line.shims, alias);
    const make = (await rows({ PATH: `${alias}:/usr/bin:/bin` })).find(
      (row) => row.tool === 'make',
    );
    expect(make).toMatchObject({ first_on_path: true, real: '/usr/bin/make' });
  });

  it('are said to be behind what stands before them', async () => {
    const folder = join(home, '.local/share/mise/shims');
    mkdirSync(folder, { recursive: true });
    symlinkSync('/bin/true', join(folder, 'make'));
    const said = await line.say(['shim', 'status'], {
      PATH: `${folder}:${line.shims}:/usr/bin:/bin`,
    });
    expect(said.out).toContain(`${folder} (mise) stands before the shims on this PATH, with make;`);
  });

  it('of a tool that is nowhere are made with a warning', async () => {
    const args = ['shim', 'install', '--no-profile', '--tool', 'no-such-tool', 'make'];
    expect((await line.say(args)).out).toContain(
      'no-such-tool is nowhere on PATH: its shim says "command not found" until it is',
    );
    expect(await line.facts(args)).toMatchObject({ absent: ['no-such-tool'] });
    expect(lstatSync(join(line.shims, 'no-such-tool')).isSymbolicLink()).toBe(true);
  });

  it('refuse a name that is no name', async () => {
    const said = await line.say(['shim', 'install', '--no-profile', '--tool', '../x']);
    expect(said).toMatchObject({ code: 1 });
    expect(said.err).toContain('"../x" is not the name of a tool');
  });
});

describe('profiles', () => {
  const profiles: Readonly<Record<string, string | undefined>> = {
    '.bashrc': 'alias ll="ls -l"\n',
    '.profile': 'export A=1',
    '.zshrc': undefined,
    '.config/fish/conf.d/rch.fish': undefined,
  };

  beforeEach(() => {
    for (const [name, text] of Object.entries(profiles))
      if (text !== undefined) writeFileSync(join(home, name), text);
    rmSync(join(home, '.config/fish'), { recursive: true, force: true });
  });

  it('are as they were, to the byte, after uninstall', async () => {
    await line.say(['shim', 'install', '--shell', 'bash', 'zsh', 'fish', 'sh']);
    for (const name of Object.keys(profiles))
      expect(readFileSync(join(home, name), 'utf8')).toContain(line.shims);
    const said = await line.say(['shim', 'uninstall']);
    expect(said.code).toBe(0);
    for (const [name, text] of Object.entries(profiles)) {
      const file = join(home, name);
      expect(existsSync(file) ? readFileSync(file, 'utf8') : undefined).toBe(text);
    }
    expect(existsSync(join(home, '.config/fish'))).toBe(false);
    expect((await rows()).every((row) => row.link === null)).toBe(true);
  });

  it('change only once, however often one installs', async () => {
    await line.say(['shim', 'install', '--shell', 'bash']);
    const once = readFileSync(join(home, '.bashrc'), 'utf8');
    const said = (await line.facts(['shim', 'install', '--shell', 'bash'])) as {
      profiles: { change: string }[];
    };
    expect(said.profiles.map((each) => each.change)).toEqual(['unchanged']);
    expect(readFileSync(join(home, '.bashrc'), 'utf8')).toBe(once);
  });

  it('keep what was added below the block', async () => {
    await line.say(['shim', 'install', '--shell', 'sh']);
    const file = join(home, '.profile');
    writeFileSync(file, `${readFileSync(file, 'utf8')}export B=2\n`);
    await line.say(['shim', 'uninstall']);
    expect(readFileSync(file, 'utf8')).toBe('export A=1\nexport B=2\n');
  });

  it('are changed where a link leads, and the link stays', async () => {
    rmSync(join(home, '.bashrc'));
    mkdirSync(join(home, 'dotfiles'));
    writeFileSync(join(home, 'dotfiles/bashrc'), '# mine\n', { mode: 0o600 });
    symlinkSync('dotfiles/bashrc', join(home, '.bashrc'));
    await line.say(['shim', 'install', '--shell', 'bash']);
    expect(lstatSync(join(home, '.bashrc')).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(home, 'dotfiles/bashrc'), 'utf8')).toContain(line.shims);
    expect(lstatSync(join(home, 'dotfiles/bashrc')).mode & 0o777).toBe(0o600);
  });

  it('keep every line of their user where lines of ours were changed, and say where', async () => {
    const file = join(home, '.bashrc');
    await line.say(['shim', 'install', '--shell', 'bash']);
    const whole = readFileSync(file, 'utf8');
    const mine = 'export MINE=1\nalias keep=me\n';
    for (const changed of [
      whole.replace(/^# <<<.*\n/m, '') + mine,
      whole.replace(/^# >>>.*\n/m, '') + mine,
      whole.replace(/^esac\n/m, `esac\n${mine}`),
      whole.replace(/^# <<<.*\n/m, mine) + whole,
    ]) {
      writeFileSync(file, changed);
      for (const verb of [['install', '--shell', 'bash'], ['uninstall']]) {
        const said = await line.say(['shim', ...verb]);
        expect(said.code).toBe(1);
        expect(said.out).toMatch(
          /could not change .*\.bashrc: lines of ours .*\(line \d+\).*by hand/,
        );
        expect(readFileSync(file, 'utf8')).toBe(changed);
      }
    }
  });

  it.each(['bash', 'fish'])(
    'of %s give up every block, also with the line ends of other systems',
    async (shell) => {
      const name = shell === 'bash' ? '.bashrc' : '.config/fish/conf.d/rch.fish';
      const file = join(home, name);
      mkdirSync(join(file, '..'), { recursive: true });
      writeFileSync(file, 'set a b');
      await line.say(['shim', 'install', '--shell', shell]);
      const once = readFileSync(file, 'utf8');
      const block = once.slice(once.indexOf('# >>>'));
      writeFileSync(file, `${once}${block}`.replaceAll('\n', ' \r\n'));
      expect((await line.say(['shim', 'uninstall'])).code).toBe(0);
      expect(readFileSync(file, 'utf8')).toBe('set a b ');
      writeFileSync(file, `${once}${block}${block}mine\n`.replaceAll('\n', '\r\n'));
      expect((await line.say(['shim', 'install', '--shell', shell])).code).toBe(0);
      expect(readFileSync(file, 'latin1').split('# >>>')).toHaveLength(2);
      expect((await line.say(['shim', 'uninstall'])).code).toBe(0);
      expect(readFileSync(file, 'utf8')).toBe('set a b\r\nmine\r\n');
    },
  );

  it('are made where a link leads, and gone after uninstall; the link stays', async () => {
    const file = join(home, '.bashrc');
    rmSync(file);
    symlinkSync('dotfiles/shell/bashrc', file);
    await line.say(['shim', 'install', '--shell', 'bash']);
    expect(readlinkSync(file)).toBe('dotfiles/shell/bashrc');
    expect(readFileSync(join(home, 'dotfiles/shell/bashrc'), 'utf8')).toContain(line.shims);
    expect((await line.say(['shim', 'uninstall'])).code).toBe(0);
    expect(readlinkSync(file)).toBe('dotfiles/shell/bashrc');
    expect(existsSync(join(home, 'dotfiles'))).toBe(false);
  });

  it('keep their mode, whatever the umask', async () => {
    const file = join(home, '.bashrc');
    chmodSync(file, 0o664);
    await line.say(['shim', 'install', '--shell', 'bash']);
    expect(lstatSync(file).mode & 0o777).toBe(0o664);
  });

  it('are left alone with --no-profile', async () => {
    await line.say(['shim', 'install', '--no-profile']);
    expect(readFileSync(join(home, '.bashrc'), 'utf8')).toBe(profiles['.bashrc']);
    expect(existsSync(join(home, '.zshrc'))).toBe(false);
  });
});

describe('each shell', () => {
  const where = 'command -v make';
  const has = (shell: string): boolean => {
    try {
      execFileSync('/usr/bin/env', [shell, '-c', 'true']);
      return true;
    } catch {
      return false;
    }
  };
  const shells: readonly (readonly [string, readonly string[]])[] = [
    ['bash', ['-i', '-c', where]],
    ['zsh', ['-i', '-c', where]],
    ['fish', ['-c', where]],
    ['sh', ['-l', '-c', where]],
  ];

  it.each(shells)('%s finds the shims first after install', async (shell, args) => {
    expect(has(shell), `${shell} is needed: apt-get install ${shell}`).toBe(true);
    await line.say(['shim', 'install', '--shell', shell]);
    const out = execFileSync('/usr/bin/env', [shell, ...args], {
      env: { ...line.world.env, TERM: 'dumb' },
      stdio: ['ignore', 'pipe', 'ignore'],
      encoding: 'utf8',
    });
    expect(out.trim().split('\n').pop()).toBe(`${line.shims}/make`);
  });

  it.each(['bash', 'zsh', 'fish', 'sh'])('%s can eval what env prints, twice', async (shell) => {
    const { out } = await line.say(['shim', 'env', '--shell', shell]);
    const again = `${out}\n${out}\ncommand -v make\necho "$PATH"`;
    const said = execFileSync('/usr/bin/env', [shell, '-c', again], {
      env: line.world.env,
      encoding: 'utf8',
    }).split('\n');
    expect(said[0]).toBe(`${line.shims}/make`);
    expect(said[1]?.split(/[: ]/).filter((folder) => folder === line.shims)).toHaveLength(1);
  });
});
