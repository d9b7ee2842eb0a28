/** The box that RCH_DRY_RUN=1 shows on standard error: what would have been decided. Pure. */
import type { Ask } from '../../src/protocol/shim.ts';
import { confidenceOf } from '../classify/confidence.ts';
import { quoted } from '../journal/record.ts';
import { colored } from './colors.ts';
import type { LocalDecision, RemoteDecision } from './decision.ts';

/** Columns of a caller without a terminal; a wider terminal gets no wider box. */
const WIDEST = 80;
const NARROWEST = 24;
/** Columns of `Confidence: ` and its kin. */
const NAMES = 12;
/** Lines that one field may take: the launcher prints at most 4096 bytes. */
const MOST_LINES = 4;

export type DryRun = {
  readonly ask: Ask;
  readonly env: ReadonlyMap<string, string>;
  readonly decision: RemoteDecision | LocalDecision;
  /** Cores of the chosen worker, and how many are taken; undefined when it is not known. */
  readonly slots: { readonly total: number; readonly used: number } | undefined;
};

/** Control characters made visible, so that a file's name cannot draw on the terminal. */
function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** `text` in lines of at most `width`, broken at spaces where there are any. */
function lines(text: string, width: number): string[] {
  const found: string[] = [];
  let rest = printable(text);
  while (rest.length > width && found.length < MOST_LINES - 1) {
    const space = rest.lastIndexOf(' ', width);
    const at = space > width / 3 ? space : width;
    found.push(rest.slice(0, at));
    rest = rest.slice(at).trimStart();
  }
  found.push(rest.length <= width ? rest : `${rest.slice(0, width - 1)}…`);
  return found;
}

type Row = { readonly name: string; readonly value: string; readonly color?: string };

const text = (raw: string): string => Buffer.from(raw, 'latin1').toString('utf8');

function rowsOf({ ask, decision, slots }: DryRun): Row[] {
  const command = quoted(ask.argv.map((word) => word.toString('utf8')));
  const rows: Row[] = [{ name: 'Command', value: command }];
  if (decision.kind === 'local')
    return [
      ...rows,
      { name: 'Decision', value: 'PASS THROUGH', color: '33' },
      { name: 'Reason', value: decision.reason },
    ];
  const argv = ask.argv.map((word) => word.toString('latin1'));
  const sure = confidenceOf(decision.candidate.command, argv, decision.config.classify);
  const free =
    slots === undefined
      ? ''
      : ` (${Math.max(0, slots.total - slots.used)} of ${slots.total} slots available)`;
  return [
    ...rows,
    { name: 'Decision', value: 'WOULD INTERCEPT', color: '32' },
    { name: 'Category', value: decision.candidate.command },
    { name: 'Confidence', value: `${(sure * 100).toFixed(1)}%` },
    { name: 'Project', value: text(decision.subject.project) },
    { name: 'Worker', value: `${decision.worker}${free}` },
    { name: 'Reason', value: decision.reason },
  ];
}

/** The box, as the plan draws it (5.7): open at the right, so that no width of a character can break it. */
export function dryRunBox(dry: DryRun): string {
  const inColor = colored(dry.ask.errKind, dry.env);
  const paint = (code: string, what: string): string =>
    inColor ? `\u001b[${code}m${what}\u001b[0m` : what;
  const cols = dry.ask.cols === 0 ? WIDEST : dry.ask.cols;
  const width = Math.max(NARROWEST, Math.min(WIDEST, cols));
  const side = paint('36', '│');
  const body = rowsOf(dry).flatMap(({ name, value, color }) =>
    lines(value, width - 2 - NAMES).map((line, at) => {
      const label = (at === 0 ? `${name}:` : '').padEnd(NAMES);
      return `${side} ${label}${color === undefined ? line : paint(color, line)}`;
    }),
  );
  const title = '─ RCH DRY RUN ';
  return [
    paint('36', `╭${title}${'─'.repeat(width - 2 - title.length)}╮`),
    ...body,
    `${side} ${paint('90', '(Running locally - dry run mode)')}`,
    paint('36', `╰${'─'.repeat(width - 2)}╯`),
    '',
  ].join('\n');
}
