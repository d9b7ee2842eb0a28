/** Commands that run, on workers and here, and those that wait. */
import { count, duration } from '../cli/render/text.ts';
import type { WatchedJob, WatchedLease, WatchedWaiting } from '../protocol/watch.ts';
import { call } from './api.ts';
import { confirm, showDetails } from './dialogs.ts';
import { button, make, say, type Part } from './dom.ts';
import { PhaseBar, piecesOfJob, piecesText } from './phases.ts';
import { Pane, type Output } from './terminal.ts';

/** What the views need beside the thing itself. */
export type Surroundings = {
  /** By the daemon's clock. */
  readonly now: () => number;
  readonly outputOf: (job: string) => Output | undefined;
};

export type RunningCommand =
  | { readonly kind: 'job'; readonly job: WatchedJob }
  | { readonly kind: 'lease'; readonly job: WatchedLease };

function cancelButton(job: { readonly id: string; readonly command: string }): HTMLButtonElement {
  const element = button(
    'Cancel',
    () => {
      confirm(
        'Cancel this command?',
        `${job.command} ends as if it had been interrupted by Ctrl-C.`,
        'Cancel it',
        () => call('cancel', { job: job.id }),
      );
    },
    'danger',
  );
  element.setAttribute('aria-label', `Cancel: ${job.command}`);
  return element;
}

function headOf(
  job: { readonly id: string; readonly command: string },
  parts: readonly HTMLElement[],
  outputOf: Surroundings['outputOf'],
): HTMLElement {
  const why = button('Why', () => {
    void showDetails(job.id, outputOf(job.id));
  });
  why.setAttribute('aria-label', `Why: ${job.command}`);
  const buttons = make('span', { class: 'row push' }, why, cancelButton(job));
  return make(
    'div',
    { class: 'row' },
    make('h3', { class: 'command' }, job.command),
    ...parts,
    buttons,
  );
}

export function runningCard(
  first: RunningCommand,
  { now, outputOf }: Surroundings,
): Part<RunningCommand> {
  const { id, command } = first.job;
  const where = make('span', { class: 'badge accent' });
  const time = make('span', { class: 'soft' });
  const bar = new PhaseBar();
  const facts = make('p', { class: 'facts' });
  const pane = new Pane(`Output of ${command}`);
  const remote = first.kind === 'job';
  const element = make(
    'li',
    {},
    headOf(first.job, [where, time], outputOf),
    ...(remote ? [make('div', {}, bar.element)] : []),
    facts,
    ...(remote ? [pane.element] : []),
  );
  const update = (next: RunningCommand): void => {
    const { job } = next;
    say(time, duration(Math.max(0, now() - job.since)));
    if (next.kind === 'lease') {
      say(where, 'here');
      const { pid, cores, caller, cwd } = next.job;
      const words = [cwd, `pid ${pid}`, count(cores, 'core'), caller];
      say(facts, `${words.join(' · ')} · its output goes straight to where it was started`);
      return;
    }
    const pieces = piecesOfJob(next.job, now());
    bar.update(pieces);
    const { worker, phase, cwd, slots, caller } = next.job;
    say(where, `${worker}: ${phase === 'planned' ? 'preparing' : phase}`);
    say(facts, [cwd, count(slots, 'slot'), caller, piecesText(pieces)].join(' · '));
    const output = outputOf(id);
    if (output !== undefined) pane.update(output);
  };
  return { element, update };
}

export function waitingCard(
  first: WatchedWaiting,
  { now }: Pick<Surroundings, 'now'>,
): Part<WatchedWaiting> {
  const time = make('span', { class: 'soft' });
  const facts = make('p', { class: 'facts' });
  const cancel = cancelButton(first);
  cancel.classList.add('push');
  const element = make(
    'li',
    {},
    make('div', { class: 'row' }, make('h3', { class: 'command' }, first.command), time, cancel),
    facts,
  );
  const update = (next: WatchedWaiting): void => {
    const places = next.for.map((place) => (place === 'here' ? 'its turn here' : place));
    say(time, duration(Math.max(0, now() - next.since)));
    const words = [
      `place ${next.place} for ${places.join(' or ')}`,
      `priority ${next.priority}`,
      count(next.cores, 'core'),
      next.caller,
      next.cwd,
    ];
    say(facts, words.join(' · '));
  };
  return { element, update };
}
