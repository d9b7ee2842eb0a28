/** What the lanes share: when what was wrong, since one lane's fault is every lane's. */
import { losing, type FaultKind } from './plan.ts';

/** ms for which a disk may still be felt to be full, and for which what was killed may not have been missed yet. */
const AFTERMATH = 2000;

export class Weather {
  readonly #faults: { readonly kind: FaultKind; readonly from: number; till: number }[] = [];
  readonly counts = new Map<FaultKind, number>();

  begin(kind: FaultKind): () => void {
    const fault = { kind, from: performance.now(), till: Infinity };
    this.#faults.push(fault);
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    return () => {
      fault.till = performance.now();
    };
  }

  /** What was wrong between two moments; what loses builds, also shortly before. */
  during(from: number, till: number): Set<FaultKind> {
    const after = (kind: FaultKind): number => (losing.has(kind) ? AFTERMATH : 0);
    const near = this.#faults.filter(
      (each) => each.from <= till && each.till + after(each.kind) >= from,
    );
    return new Set(near.map(({ kind }) => kind));
  }
}
