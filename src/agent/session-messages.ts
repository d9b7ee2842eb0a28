/** What a link may say to an agent, by what becomes of it. */
import type { AgentMessage } from '../protocol/agent.ts';

export type Of<Type extends AgentMessage['type']> = Extract<AgentMessage, { type: Type }>;

const requests = [
  'ping',
  'probe',
  'sync',
  'fetch',
  'fetchPart',
  'settle',
  'collect',
  'withdraw',
  'benchmark',
  'before',
  'keep',
  'reclaim',
  'outline',
  'look',
] as const;
const aboutJobs = [
  'run',
  'attach',
  'finish',
  'kill',
  'outAck',
  'stdin',
  'stdinEof',
  'ttyInput',
  'signal',
  'resize',
  'outClosed',
] as const;
export type Request = Of<(typeof requests)[number]>;
export type AboutJob = Of<(typeof aboutJobs)[number]>;

export function isRequest(message: AgentMessage): message is Request {
  return (requests as readonly string[]).includes(message.type);
}

export function isAboutJob(message: AgentMessage): message is AboutJob {
  return (aboutJobs as readonly string[]).includes(message.type);
}
