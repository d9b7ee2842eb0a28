/** One number for how fast a worker is: 100 is a core of a server of 2024 with its memory and disk. */
import type { BenchmarkFacts } from '../../src/protocol/facts.ts';

/** What scores 100, by the agent's benchmark (src/agent/benchmark.ts). */
const reference = { single: 2200, memory: 12_000, disk: 1000, compileMs: 450 } as const;
/** Compiling is CPU first, then memory; the disk seldom counts, as most of what is written stays in memory. */
const parts = { cpu: 0.7, memory: 0.2, disk: 0.1 } as const;

/** A part counts three times its reference at the most, so that no cache of a disk decides. */
const most = (ratio: number): number => Math.min(3, Math.max(0, ratio));

/** Speed of one core, since cores are counted as slots. */
export function speedOf(facts: BenchmarkFacts): number {
  const words = most(facts.single / reference.single);
  const cpu =
    facts.compileMs === null || facts.compileMs <= 0
      ? words
      : (words + most(reference.compileMs / facts.compileMs)) / 2;
  const score =
    parts.cpu * cpu +
    parts.memory * most(facts.memory / reference.memory) +
    parts.disk * most(facts.disk / reference.disk);
  return Math.round(score * 1000) / 10;
}
