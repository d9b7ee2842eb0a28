/**
 * The folder of our sockets, checked by both sides before it is trusted: a real folder, ours, and closed to
 * everybody else; and addresses in it that fit into sockaddr_un, whatever the length of its path.
 */
import { closeSync, constants, fchmodSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fail, messageOf, ok, type Result } from './result.ts';

/** The longest path that fits into sun_path with its NUL, in bytes (unix(7)). */
export const MAX_SOCKET_PATH = 107;

export type RunFolderFailure = {
  readonly reason: string;
  readonly next?: string;
  /** `absent`: there is no such folder, and so no daemon. */
  readonly kind: 'absent' | 'foreign';
};

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

/** An open run folder; what is reached through it is what was checked. Close it when done. */
export class RunFolder {
  readonly #fd: number;
  readonly #path: string;

  private constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  /** Makes the folder (0700) where it is missing, then opens it. */
  static create(path: string): Result<RunFolder, RunFolderFailure> {
    let made: string | undefined;
    try {
      mkdirSync(dirname(path), { recursive: true });
      made = mkdirSync(path, { recursive: true, mode: 0o700 });
    } catch (thrown) {
      if (codeOf(thrown) !== 'EEXIST')
        return { ok: false, failure: { kind: 'foreign', reason: messageOf(thrown) } };
    }
    return RunFolder.open(path, made !== undefined);
  }

  /** Opens the folder if it is ours alone. `fresh`: we just made it, so its mode may be set past the umask. */
  static open(path: string, fresh = false): Result<RunFolder, RunFolderFailure> {
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    } catch (thrown) {
      const code = codeOf(thrown);
      if (code === 'ENOENT')
        return { ok: false, failure: { kind: 'absent', reason: `${path} is missing` } };
      const reason =
        code === 'ENOTDIR' || code === 'ELOOP'
          ? `${path} is not a folder of its own (a symbolic link, or a file)`
          : messageOf(thrown);
      return { ok: false, failure: { kind: 'foreign', reason } };
    }
    const refused = check(fd, path, fresh);
    if (refused === undefined) return ok(new RunFolder(fd, path));
    closeSync(fd);
    return { ok: false, failure: { kind: 'foreign', ...refused } };
  }

  /** The address of a socket in this folder, as bind(2) and connect(2) take it; good while the folder is open. */
  address(socket: string): string {
    if (Buffer.byteLength(socket) <= MAX_SOCKET_PATH) return socket;
    return `/proc/self/fd/${this.#fd}/${basename(socket)}`;
  }

  get path(): string {
    return this.#path;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function check(
  fd: number,
  path: string,
  fresh: boolean,
): { reason: string; next?: string } | undefined {
  if (fresh) fchmodSync(fd, 0o700);
  const stat = fstatSync(fd);
  const me = process.geteuid?.();
  if (stat.uid !== me) {
    return fail(`${path} belongs to user ${stat.uid}, not to ${me ?? 'us'}`).failure;
  }
  if ((stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0');
    return fail(`${path} has mode ${mode}: others can reach it`, `chmod 700 '${path}'`).failure;
  }
  return undefined;
}
