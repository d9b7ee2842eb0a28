/** The words for a command that finds no worker and may not run here. Pure. */

/** `reason`: why no worker took it. */
export function unfallen(reason: string): string {
  return `${reason}, and execution.fallback_to_local is off; RCH_LOCAL_ONLY=1 runs it here`;
}
