/** `rch shim status|env`. */
import { basename } from 'node:path';
import { ok } from '../../base/result.ts';
import { table } from '../render/text.ts';
import type { Context, Outcome } from '../report.ts';
import { pathLines, shells, type Shell } from './block.ts';
import { profilesWithLines } from './profiles.ts';
import { foldersInFront, type InFront } from './in-front.ts';
import { shimRows, shimsOnPath } from './tools.ts';

export function shimStatus({ layout, env }: Context): Outcome {
  const rows = shimRows(layout, env['PATH'] ?? '');
  if (!rows.ok) return rows;
  const profiles = profilesWithLines(env);
  const linked = rows.value.filter((row) => row.link !== null);
  const reached = linked.filter((row) => row.first_on_path);
  const onPath = shimsOnPath(layout, env['PATH'] ?? '');
  const inFront = onPath ? foldersInFront(rows.value, layout.shims, env['DIRENV_DIR']) : [];
  return ok({
    facts: { dir: layout.shims, tools: rows.value, profiles, in_front: inFront },
    text: ({ width }) =>
      [
        `shims in ${layout.shims}`,
        table(
          [
            ['TOOL', 'STATE', 'REAL TOOL'],
            ...rows.value.map((row) => [row.tool, stateOf(row), row.real ?? 'none on PATH']),
          ],
          width,
        ),
        profiles.length === 0
          ? 'no profile has our lines'
          : `lines of ours in ${profiles.join(', ')}`,
        ...inFront.map(lineOf),
        ...(reached.length < linked.length && inFront.length === 0
          ? ['the shims are not first on this PATH: eval "$(rch shim env)", or rch shim install']
          : []),
      ].join('\n'),
  });
}

function lineOf({ folder, by, tools, next }: InFront): string {
  const whose = by === '' ? folder : `${folder} (${by})`;
  return `${whose} stands before the shims on this PATH, with ${tools.join(' ')}; to mend it: ${next}`;
}

function stateOf(row: { link: string | null; first_on_path: boolean }): string {
  if (row.link === null) return 'no shim';
  return row.first_on_path ? 'in use' : 'not first on PATH';
}

/** The shell asked for, or that of SHELL, or sh. */
export function shimEnv({ layout, env }: Context, asked: Shell | undefined): Outcome {
  const own = shells.find((shell) => shell === basename(env['SHELL'] ?? ''));
  const shell = asked ?? own ?? 'sh';
  const lines = pathLines(shell, layout.shims);
  return ok({ facts: { dir: layout.shims, shell, lines }, text: () => lines });
}
