/** Shell lines that every login shell hands on untouched: sshd gives the command to the account's own shell. */

/**
 * `/bin/sh -c '…'` for a script on one line: no alias has that name. In single quotes a POSIX shell takes everything but
 * `'` as it is, fish also reads `\`, and csh also `!` and the end of a line; a script with one of these four is a bug.
 */
export function shellCommand(script: string): string {
  if (/['\\!\n]/.test(script)) throw new Error(`not safe in every shell: ${script}`);
  return `/bin/sh -c '${script}'`;
}
