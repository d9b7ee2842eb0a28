/** The fleet: a card a worker. */
import { count, size } from '../cli/render/text.ts';
import type { WatchedWorker } from '../protocol/watch.ts';
import { call } from './api.ts';
import { confirm } from './dialogs.ts';
import { button, make, say, set, show, type Part } from './dom.ts';

const tones: Readonly<Record<WatchedWorker['health'], string>> = {
  healthy: 'good',
  degraded: 'warn',
  draining: 'warn',
  unreachable: 'bad',
  disabled: 'soft',
};

function factsOf(worker: WatchedWorker): string[] {
  const { machine } = worker;
  return [
    count(worker.jobs, 'job'),
    ...(worker.load === null ? [] : [`load of others ${worker.load.toFixed(1)}`]),
    ...(worker.speed === null ? [] : [`speed ${worker.speed.toFixed(0)}`]),
    ...(worker.roundTripMs === null ? [] : [`round trip ${worker.roundTripMs.toFixed(1)} ms`]),
    ...(worker.breaker === 'closed' ? [] : [`breaker ${worker.breaker}`]),
    ...(machine === null ? [] : [`${machine.system}, ${size(machine.diskFree)} of disk free`]),
    ...(worker.tags.length === 0 ? [] : [worker.tags.join(', ')]),
  ];
}

function order(worker: WatchedWorker): void {
  const drains = worker.mandate === 'enabled';
  const mandate = drains ? 'draining' : 'enabled';
  const going = worker.jobs === 0 ? '' : ` ${count(worker.jobs, 'command')} there may end.`;
  confirm(
    drains ? `Drain ${worker.id}?` : `Let ${worker.id} work again?`,
    drains ? `Nothing new is sent there.${going}` : 'Commands are sent there again.',
    drains ? 'Drain' : 'Let it work',
    () => call('order', { worker: worker.id, mandate }),
  );
}

export function workerCard(first: WatchedWorker): Part<WatchedWorker> {
  let worker = first;
  const badge = make('span', { class: 'badge' });
  const place = make('span', { class: 'soft' });
  const act = button('Drain', () => {
    order(worker);
  });
  const fill = make('div');
  const meter = make('div', { class: 'meter', role: 'meter', 'aria-valuemin': 0 }, fill);
  const slots = make('span');
  const facts = make('p', { class: 'facts' });
  const trouble = make('p', { class: 'warn' });
  const element = make(
    'li',
    {},
    make('div', { class: 'row' }, make('h3', {}, first.id), badge, place, act),
    meter,
    make('p', { class: 'facts' }, slots),
    facts,
    trouble,
  );
  act.classList.add('push');
  const update = (next: WatchedWorker): void => {
    worker = next;
    say(badge, worker.health === 'unreachable' ? worker.state : worker.health);
    set(badge, 'class', `badge ${tones[worker.health]}`);
    say(place, worker.host === '' ? worker.transport : worker.host);
    say(act, worker.mandate === 'enabled' ? 'Drain' : 'Let it work');
    // What the configuration disables, it alone enables.
    show(act, worker.health !== 'disabled' || worker.mandate !== 'enabled');
    set(act, 'aria-label', `${act.textContent}: ${worker.id}`);
    const { used, total } = worker.slots ?? { used: 0, total: 0 };
    set(meter, 'aria-label', `slots in use on ${worker.id}`);
    set(meter, 'aria-valuemax', Math.max(1, total));
    set(meter, 'aria-valuenow', Math.min(used, Math.max(1, total)));
    set(meter, 'aria-valuetext', `${used} of ${total}`);
    fill.style.width = total === 0 ? '0' : `${Math.min(100, (used / total) * 100)}%`;
    set(fill, 'class', total > 0 && used >= total ? 'full' : undefined);
    say(
      slots,
      worker.slots === null ? 'not connected' : `${used} of ${count(total, 'slot')} in use`,
    );
    say(facts, factsOf(worker).join(' · '));
    const troubles = worker.troubles.map(({ reason }) => reason);
    const words = troubles.length === 0 ? [worker.reason] : troubles;
    const next_ = worker.next === '' ? [] : [`Next: ${worker.next}`];
    const text = [...words, ...next_].filter((word) => word !== '').join('. ');
    say(trouble, text);
    show(trouble, text !== '');
  };
  return { element, update };
}
