/** The tools of a worker beside those of this machine: what it lacks, and what is of another version. Decides only. */
import type { ToolFacts } from '../../protocol/facts.ts';

export type Differing = { readonly name: string; readonly here: string; readonly there: string };

export type Compared = {
  /** Tools of this machine that it has not. */
  readonly lacking: readonly string[];
  readonly differing: readonly Differing[];
};

/** A version, and the target where that is what differs. */
const shown = (tool: ToolFacts, other: ToolFacts): string =>
  tool.version === other.version ? `${tool.version} for ${tool.target}` : tool.version;

export function compareTools(here: readonly ToolFacts[], there: readonly ToolFacts[]): Compared {
  const found = new Map(
    there.filter(({ path }) => path !== '').map((tool) => [tool.name, tool] as const),
  );
  return {
    lacking: here.filter(({ name }) => !found.has(name)).map(({ name }) => name),
    differing: here.flatMap((tool) => {
      const other = found.get(tool.name);
      if (other === undefined) return [];
      if (other.version === tool.version && other.target === tool.target) return [];
      return [{ name: tool.name, here: shown(tool, other), there: shown(other, tool) }];
    }),
  };
}
