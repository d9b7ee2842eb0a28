/**
 * A POSIX shell on a worker, before there is any agent: by the system's ssh, by the worker's own command, or here. The
 * script goes in by standard input, so that no login shell there reads a word of it.
 */
import { execa } from 'execa';
import type { Layout } from '../../base/layout.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { basename } from 'node:path';
import type { WorkerConfig } from '../../config/worker-schema.ts';
import { knownHostsFiles, ownKnownHosts } from './host-key.ts';

export type ShellPlace = Pick<
  WorkerConfig,
  'transport' | 'host' | 'user' | 'port' | 'identityFile' | 'command'
>;

export type ShellOptions = {
  readonly layout: Layout;
  /** ms for the whole script. */
  readonly timeoutMs: number;
  /** ms to connect. */
  readonly connectMs?: number;
  /** In place of the user's known_hosts files: that of a key which was shown just now. */
  readonly knownHosts?: string;
  /** Is given each line of output, standard error too. */
  readonly onLine?: (line: string) => void;
};

export type ShellEnd = { readonly code: number; readonly out: string; readonly err: string };

const CONNECT_MS = 5000;

/** ssh's own failures end with 255. */
const SSH_FAILED = 255;

function sshOptions(options: Pick<ShellOptions, 'connectMs'>, files: readonly string[]): string[] {
  const seconds = Math.max(1, Math.ceil((options.connectMs ?? CONNECT_MS) / 1000));
  const settled: readonly (readonly [string, string])[] = [
    ['BatchMode', 'yes'],
    ['StrictHostKeyChecking', 'yes'],
    ['UserKnownHostsFile', files.map((file) => `"${file}"`).join(' ')],
    ['ConnectTimeout', String(seconds)],
    ['ServerAliveInterval', '10'],
    ['ForwardAgent', 'no'],
    ['ForwardX11', 'no'],
    ['ClearAllForwardings', 'yes'],
    ['RemoteCommand', 'none'],
    ['RequestTTY', 'no'],
    ['Compression', 'no'],
    ['LogLevel', 'ERROR'],
  ];
  return settled.flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}

/** The arguments that lead ssh to the worker. */
export function sshTarget({ host, user, port, identityFile }: ShellPlace): string[] {
  return [
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(user === undefined ? [] : ['-l', user]),
    ...(identityFile === undefined ? [] : ['-i', identityFile]),
    '--',
    host ?? '',
  ];
}

/** As daemon/transport/command.ts puts a line into an argv. */
function commandArgv(command: readonly string[], line: string): readonly string[] {
  if (command.some((word) => word.includes('{command}')))
    return command.map((word) => word.replaceAll('{command}', () => line));
  return basename(command[0] ?? '') === 'ssh'
    ? [...command, line]
    : [...command, ...line.split(' ')];
}

/** The argv that runs a line of plain words there. */
export async function argvFor(
  place: ShellPlace,
  line: string,
  options: Omit<ShellOptions, 'timeoutMs'>,
): Promise<Result<readonly string[]>> {
  if (place.transport === 'embedded') return ok(line.split(' '));
  if (place.transport === 'command') return ok(commandArgv(place.command, line));
  const { host, user, port } = place;
  if (host === undefined) return fail('the worker has no host');
  if (options.knownHosts !== undefined)
    return ok(['ssh', ...sshOptions(options, [options.knownHosts]), ...sshTarget(place), line]);
  const known = await knownHostsFiles({ host, user, port }, options.layout);
  if (!known.ok) return known;
  const files = known.value.length === 0 ? [ownKnownHosts(options.layout)] : known.value;
  return ok(['ssh', ...sshOptions(options, files), ...sshTarget(place), line]);
}

/** A line of ssh that a person types to get there. */
export function sshLine(place: ShellPlace): string {
  const { host, user, port, identityFile } = place;
  const options = [
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(identityFile === undefined ? [] : ['-i', `'${identityFile}'`]),
  ];
  return ['ssh', ...options, `${user === undefined ? '' : `${user}@`}${host ?? ''}`].join(' ');
}

/** What ssh says when it does not get there, and what helps. */
function unreachable(place: ShellPlace, said: string): Result<never> {
  const line = said.trim().split('\n').at(-1) ?? '';
  const next = /Host key verification failed|host key is known/.test(said)
    ? `compare the fingerprint, then accept it: ${sshLine(place)}`
    : /Permission denied/.test(said)
      ? `ssh-copy-id, or name the key: ${sshLine(place)}`
      : `try: ${sshLine(place)}`;
  return fail(line === '' ? 'ssh ended without a word' : line, next);
}

/** Runs a script, which may end with any code; whatever it starts has no standard input. */
export async function runScript(
  place: ShellPlace,
  script: string,
  options: ShellOptions,
): Promise<Result<ShellEnd>> {
  const argv = await argvFor(place, 'sh -s', options);
  if (!argv.ok) return argv;
  const [program, ...args] = argv.value;
  // The shell reads the function whole before it runs it; a script cut short runs nothing.
  const input = `rch_script() {\n${script}\n}\nrch_script </dev/null\nexit $?\n`;
  const running = execa(program ?? '', args, {
    input,
    reject: false,
    timeout: options.timeoutMs,
    stripFinalNewline: false,
    maxBuffer: 64 * 1024 * 1024,
    all: true,
  });
  const told =
    options.onLine === undefined
      ? Promise.resolve()
      : tell(running.iterable({ from: 'all' }), options.onLine);
  const ended = await running;
  // Its end is what `ended` says.
  await told.catch(() => undefined);
  if (ended.code === 'ENOENT') return fail(`there is no ${program ?? ''} on this machine`);
  if (ended.timedOut) return fail(`no end in ${Math.round(options.timeoutMs / 1000)} s`);
  if (ended.exitCode === undefined) return fail(ended.shortMessage ?? 'it was ended');
  if (place.transport === 'ssh' && ended.exitCode === SSH_FAILED)
    return unreachable(place, ended.stderr);
  return ok({ code: ended.exitCode, out: ended.stdout, err: ended.stderr });
}

async function tell(lines: AsyncIterable<unknown>, onLine: (line: string) => void): Promise<void> {
  for await (const line of lines) onLine(String(line));
}
