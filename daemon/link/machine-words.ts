/** What an agent says of its machine unasked, as the front is told it. */
import type { AgentMessage } from '../../src/protocol/agent.ts';
import { parseVitals } from '../../src/protocol/facts.ts';
import type { LinkToFront } from '../../src/protocol/ipc.ts';

type MachineMessage = Extract<AgentMessage, { type: 'state' | 'vitals' }>;

/** Undefined for what cannot be read. */
export function machineWords(message: MachineMessage): LinkToFront | undefined {
  if (message.type === 'vitals') {
    const vitals = parseVitals(message.json);
    return vitals === undefined ? undefined : { type: 'vitals', ...vitals };
  }
  return {
    type: 'slots',
    total: message.totalSlots,
    used: message.usedSlots,
    own: message.ownSlots,
    freeBytes: Number(message.freeBytes),
  };
}
