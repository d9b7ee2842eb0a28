/** What a step of a lane does and suffers: drawn from the seed, the lane and the number of the step, and from nothing else. */
import { Chance } from './chance.ts';
import type { Edit } from './project.ts';

export const faultKinds = [
  'daemon-killed',
  'link-killed',
  'helper-killed',
  'agent-killed',
  'cut',
  'frozen',
  'slowed',
  'disk-full',
  'clock-set',
  'shim-killed',
  'edited',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Where results or the tool itself may be lost for good. Whatever else goes wrong, a command that has started goes on. */
export const losing: ReadonlySet<FaultKind> = new Set(['agent-killed', 'disk-full']);

/** A fault that was chosen; `after` the start of the build, and `lasts`, in ms. */
export type Fault = {
  readonly kind: FaultKind;
  readonly worker: number;
  readonly after: number;
  readonly lasts: number;
  /** Of the clock. */
  readonly shiftNs: bigint;
  /** Of so many as there are then; below 1. */
  readonly which: number;
  readonly edit: Edit;
};

/** `insist`: with RCH_FORCE_REMOTE; `free`: where rch likes; `twins`: two of one command at once, which insist. */
export type Way = 'insist' | 'free' | 'twins';

export type StepPlan = {
  readonly edits: readonly Edit[];
  readonly faults: readonly Fault[];
  readonly way: Way;
};

export type Choices = { readonly kinds: readonly FaultKind[]; readonly workers: number };

function edit(chance: Chance): Edit {
  return { what: chance.next(), which: chance.next(), value: chance.between(0, 1000) };
}

/** Draws the same number of times for every kind. */
function fault(chance: Chance, { kinds, workers }: Choices): Fault {
  const [first = 'cut', ...rest] = kinds;
  const kind = chance.pick([first, ...rest]);
  const worker = chance.between(0, workers);
  return {
    kind,
    // The first worker is the one with the small disk.
    worker: kind === 'disk-full' ? 0 : worker,
    after: chance.between(0, 1000),
    lasts: chance.between(200, kind === 'frozen' ? 7000 : 2500),
    shiftNs: BigInt(chance.between(-5, 3600)) * 1_000_000_000n,
    which: chance.next(),
    edit: edit(chance),
  };
}

export function planStep(seed: number, lane: number, step: number, choices: Choices): StepPlan {
  const chance = Chance.of(seed, lane, step);
  const way = chance.pick<Way>(['insist', 'insist', 'insist', 'insist', 'free', 'twins']);
  const edits = Array.from({ length: chance.between(1, 4) }, () => edit(chance));
  const count = chance.pick([0, 1, 1, 1, 2]);
  const faults = Array.from({ length: count }, () => fault(chance, choices));
  return { edits, faults, way };
}
