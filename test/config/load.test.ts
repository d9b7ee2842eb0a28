import fc from 'fast-check';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe as group, expect, it } from 'vitest';
import { layoutFor, type Layout } from '../../src/base/layout.ts';
import { loadConfig } from '../../src/config/load.ts';
import { defaultConfig, type Config } from '../../src/config/schema.ts';

let home: string;
let layout: Layout;
let env: Record<string, string>;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'rch-config-'));
  env = { HOME: home };
  layout = layoutFor(env);
});
afterEach(() => {
  rmSync(home, { recursive: true });
});

function write(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}
const user = (text: string): string => write(join(layout.config, 'config.toml'), text);
const fleet = (text: string): string => write(join(layout.config, 'workers.toml'), text);

function loaded(project?: string): Config {
  const outcome = loadConfig(layout, env, project);
  if (!outcome.ok) throw new Error(outcome.failure.reason);
  return outcome.value.config;
}
function refused(project?: string): readonly string[] {
  const outcome = loadConfig(layout, env, project);
  if (outcome.ok) throw new Error('was taken');
  return outcome.failure.reason.split('\n');
}

group('layers', () => {
  it('gives the defaults when there is no file at all', () => {
    expect(loaded()).toEqual(defaultConfig());
  });

  it('drops no file by its name and sets no time limit unless asked', () => {
    const config = loaded();
    expect(config.transfer.exclude.patterns).toEqual([]);
    expect(config.execution.timeoutSec).toBe(0);
  });

  it('merges tables key by key and replaces lists', () => {
    user('[general]\nlog_level = "debug"\n[environment]\npass = ["GITHUB_TOKEN"]\n');
    const config = loaded();
    expect(config.general).toMatchObject({ enabled: true, verbose: false, logLevel: 'debug' });
    expect(config.environment.pass).toEqual(['GITHUB_TOKEN']);
    expect(config.environment.withhold).toContain('SSH_AUTH_SOCK');
  });

  it('lets the environment of the request win over files', () => {
    user('[general]\nenabled = true\n');
    env['RCH_ENABLED'] = '0';
    env['RCH_VERBOSE'] = '1';
    const config = loaded();
    expect(config.general).toMatchObject({ enabled: false, verbose: true });
  });

  it('lets a project only make less happen', () => {
    write(
      join(home, 'p/.rch/config.toml'),
      '[project]\nlocal_only = true\n[workers]\nblocked = ["a"]\n[transfer]\nmax_size_mb = 100000000\n',
    );
    const config = loaded(join(home, 'p'));
    expect(config.project).toMatchObject({ enabled: true, localOnly: true, blockedWorkers: ['a'] });
    expect(config.transfer.maxTransferSizeMb).toBe(defaultConfig().transfer.maxTransferSizeMb);
  });

  it('lets a project exclude more commands and raise the threshold, but not lower it', () => {
    user(
      '[classify]\nconfidence_threshold = 0.9\nexclude = ["gcc"]\n[classify.confidence]\ncargo_run = 0.5\n',
    );
    write(
      join(home, 'p/.rch/config.toml'),
      '[classify]\nconfidence_threshold = 0.1\nexclude = ["make x"]\n',
    );
    expect(loaded(join(home, 'p')).classify).toEqual({
      confidenceThreshold: 0.9,
      confidence: { cargoRun: 0.5 },
      exclude: ['gcc', 'make x'],
    });
    write(join(home, 'q/.rch/config.toml'), '[classify]\nconfidence_threshold = 0.95\n');
    expect(loaded(join(home, 'q')).classify.confidenceThreshold).toBe(0.95);
  });

  it('lets a project say how many cores it takes, and lower its priority, but not raise it', () => {
    write(join(home, '.config/rch/config.toml'), '[queue]\npriority = "normal"\n');
    const of = (text: string): [number | undefined, string] => {
      write(join(home, 'p/.rch/config.toml'), text);
      const { execution, queue } = loaded(join(home, 'p'));
      return [execution.cores, queue.priority];
    };
    expect(of('')).toEqual([undefined, 'normal']);
    expect(of('[execution]\ncores = 8\n[queue]\npriority = "low"\n')).toEqual([8, 'low']);
    expect(of('[queue]\npriority = "high"\n')).toEqual([undefined, 'normal']);
  });

  it('refuses from a project what could choose machines or pass secrets', () => {
    const file = write(
      join(home, 'p/.rch/config.toml'),
      '[environment]\npass = ["*"]\n[workers]\nhost = "evil"\n',
    );
    expect(refused(join(home, 'p'))).toEqual([
      `${file}:1:1: environment: there is no such key; known here: project, workers, classify, transfer, execution, queue, sandbox, hooks`,
      `${file}:4:1: workers.host: there is no such key; known here: allowed, preferred, blocked, min_speed_score`,
    ]);
  });

  it('executes nothing that lies in the current folder', () => {
    const trap = join(home, 'trapped');
    const code = `require('fs').writeFileSync(${JSON.stringify(trap)}, '')`;
    write(join(home, 'p/.config/config.js'), code);
    write(join(home, 'p/evil.js'), code);
    write(join(home, 'p/package.json'), '{"cosmiconfig": {"searchPlaces": ["evil.js"]}}');
    const before = process.cwd();
    process.chdir(join(home, 'p'));
    try {
      loaded(join(home, 'p'));
    } finally {
      process.chdir(before);
    }
    expect(() => {
      chmodSync(trap, 0o600);
    }).toThrow('ENOENT');
  });

  it('reads every file as TOML, whatever it is called, and executes none', () => {
    const trap = join(home, 'trapped');
    const code = `require('fs').writeFileSync(${JSON.stringify(trap)}, '')\n`;
    for (const name of [
      'w.js',
      'w.cjs',
      'w.mjs',
      'w.ts',
      'w.json',
      'w.yaml',
      'w.yml',
      'w.rc',
      'w',
    ]) {
      const file = write(join(home, name), code);
      user(`[workers]\nconfig_file = "${file}"\n`);
      expect(refused()[0], name).toContain(`${file}:1:`);
      write(file, '[[workers]]\nid = "css"\nhost = "h"\n');
      expect(loaded().workers, name).toHaveLength(1);
    }
    const whole = write(join(home, 'package.toml'), '[generall]\n');
    user(`[workers]\nconfig_file = "${whole}"\n`);
    expect(refused()[0]).toContain(`${whole}:1:1: generall: there is no such key`);
    expect(existsSync(trap)).toBe(false);
  });

  it('names the line in whatever is no TOML, and never throws', () => {
    const file = join(home, 'fleet');
    user(`[workers]\nconfig_file = "${file}"\n`);
    const texts = [
      'workers\n',
      '{"workers": []}\n',
      '- a\n- b\n',
      'root:x:0:0:root:/root:/bin/bash\n',
      'null\n',
      '42\n',
      'x = 1_\n',
      `x = ${'['.repeat(5000)}`,
      'x = 99999999999999999999\n',
    ];
    for (const text of texts) {
      write(file, text);
      expect(refused()[0], text.slice(0, 40)).toContain(`${file}:1:`);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        writeFileSync(file, bytes);
        const outcome = loadConfig(layout, env);
        return outcome.ok || outcome.failure.reason.includes(`${file}:`);
      }),
    );
  });

  it('follows no $import', () => {
    write(join(home, 'other.toml'), '[general]\nenabled = false\n');
    const file = user(`"$import" = "${join(home, 'other.toml')}"\n`);
    expect(refused()[0]).toContain(`${file}:1:1: $import: there is no such key`);
  });
});

group('workers', () => {
  it('fills in the defaults of the file and expands the home folder', () => {
    fleet(
      '[defaults]\nssh_timeout_ms = 900\n\n[[workers]]\nid = "css"\nhost = "203.0.113.20"\nidentity_file = "~/.ssh/k"\n' +
        '[[workers]]\nid = "b"\ntransport = "command"\ncommand = ["srun", "x"]\nssh_timeout_ms = 100\n',
    );
    const [css, b] = loaded().workers;
    expect(css).toMatchObject({ id: 'css', transport: 'ssh', sshTimeoutMs: 900, priority: 100 });
    expect(css?.identityFile).toBe(join(home, '.ssh/k'));
    expect(b).toMatchObject({ transport: 'command', command: ['srun', 'x'], sshTimeoutMs: 100 });
  });

  it('tells a mistake in the defaults once, where it is', () => {
    const workers = '[[workers]]\nid = "a"\nhost = "h"\n\n[[workers]]\nid = "b"\nhost = "h"\n';
    const file = fleet(`[defaults]\nssh_timeout_ms = "soon"\nno_such = 1\n\n${workers}`);
    expect(refused()).toEqual([
      `${file}:2:1: defaults.ssh_timeout_ms: must be a number`,
      expect.stringContaining(`${file}:3:1: defaults.no_such: there is no such key`),
    ]);
  });

  it('names the worker that lacks its host, and one that is there twice', () => {
    const file = fleet('[[workers]]\nid = "a"\n\n[[workers]]\nid = "b"\nhost = "h"\n');
    expect(refused()).toEqual([`${file}:1:1: workers[0].host: an ssh worker needs a host`]);
    fleet('[[workers]]\nid = "a"\nhost = "h"\n\n[[workers]]\nid = "a"\nhost = "h"\n');
    expect(refused()).toEqual([`${file}:6:1: workers[1].id: there is already a worker "a"`]);
    const here = 'transport = "embedded"\n';
    fleet(`[[workers]]\nid = "a"\n${here}\n[[workers]]\nid = "b"\n${here}`);
    expect(refused()[0]).toContain('workers[1].transport: only one worker can be embedded');
    fleet(`[[workers]]\nid = "a"\n${here}\n[[workers]]\nid = "b"\nenabled = false\n${here}`);
    expect(loaded().workers).toHaveLength(2);
  });
});

group('problems', () => {
  it('names file, line, column, key and what is allowed for a wrong value', () => {
    const file = user(
      '# mine\n[general]\n  log_level = "loud"\nverbose = 1\n[transfer]\ncompression_level = 40\n',
    );
    expect(refused()).toEqual([
      `${file}:3:3: general.log_level: must be one of "trace", "debug", "info", "warn", "error"`,
      `${file}:4:1: general.verbose: must be a boolean`,
      `${file}:6:1: transfer.compression_level: must be at most 19`,
    ]);
  });

  it('refuses limits that no timer or message holds', () => {
    const file = user(
      '[execution]\ntimeout_sec = 10000000\n[transfer]\ntimeout_sec = 2147484\nmax_transfer_size_mb = 1e308\n[store]\nlimit_gb = 1e300\n',
    );
    expect(refused()).toEqual([
      `${file}:2:1: execution.timeout_sec: must be at most 1728000`,
      `${file}:4:1: transfer.timeout_sec: must be at most 1728000`,
      `${file}:5:1: transfer.max_transfer_size_mb: must be at most 1000000000`,
      `${file}:7:1: store.limit_gb: must be at most 1000000`,
    ]);
  });

  it('suggests the nearest key for one that is not known', () => {
    const file = user('[transfer]\ncompresion_level = 4\n[generall]\nenabled = true\n');
    expect(refused()).toEqual([
      `${file}:2:1: transfer.compresion_level: there is no such key; did you mean "compression_level"?`,
      `${file}:3:1: generall: there is no such key; did you mean "general"?`,
    ]);
  });

  it('names the line of a table whose name is wrong, and of one that lacks something', () => {
    const file = fleet('# mine\n\n[[worker]]\nid = "a"\n');
    expect(refused()).toEqual([
      `${file}:3:1: worker: there is no such key; did you mean "workers"?`,
    ]);
    fleet('[[workers]]\nhost = "h"\n\n[[workers]]\nhost = "i"\nid = 3\n');
    expect(refused()).toEqual([
      `${file}:1:1: workers[0].id: is missing`,
      `${file}:6:1: workers[1].id: must be a string`,
    ]);
    fleet('workers = 3\n');
    expect(refused()).toEqual([`${file}:1:1: workers: must be a list`]);
    fleet('');
    const own = user('general = 3\nexecution.env = [1]\n[transferr.exclude]\npatterns = []\n');
    expect(refused()).toEqual([
      `${own}:1:1: general: must be a table`,
      `${own}:2:1: execution.env: must be a table`,
      `${own}:3:1: transferr: there is no such key; did you mean "transfer"?`,
    ]);
  });

  it('does not take the spelling of the program for that of the file', () => {
    const file = user('[general]\nlogLevel = "info"\n');
    expect(refused()).toEqual([
      `${file}:2:1: general.logLevel: there is no such key; did you mean "log_level"?`,
    ]);
  });

  it('names the place of a syntax error', () => {
    const file = user('[general]\nenabled = maybe\n');
    expect(refused()[0]).toMatch(`${file}:2:`);
  });

  it('finds keys behind multi-line strings and lists', () => {
    const file = user(
      '[environment]\npass = [ # a\n  "A", "]",\n]\nwithhold = ["""\nx = 1\n[no]\n"""]\npas = []\n',
    );
    expect(refused()).toEqual([
      `${file}:9:1: environment.pas: there is no such key; did you mean "pass"?`,
    ]);
  });

  it('says which variable of the environment makes no sense', () => {
    env['RCH_ENABLED'] = 'perhaps';
    expect(refused()).toEqual(['environment: RCH_ENABLED=perhaps: must be 1 or 0']);
    const outcome = loadConfig(layout, env);
    expect(outcome.ok ? '' : outcome.failure.next).toMatch(/^set the variable right, or unset it/);
  });

  it('is a failure, not an exception, when a file cannot be read', () => {
    mkdirSync(join(layout.config, 'config.toml'), { recursive: true });
    expect(refused()[0]).toContain('it is not a regular file');
  });
});
