/** What the command line and the front say to each other, on the front's socket: calls by name with JSON. */
import type { MessageOf } from './codec.ts';

export const CONTROL_PROTOCOL = 1;

export const controlMessages = {
  /** `method` is a key of controlMethods (src/protocol/methods.ts), `json` its parameters. */
  call: { number: 128, fields: { protocol: 'u16', request: 'u32', method: 'str', json: 'bytes' } },
  /** The answer; when not `ok`, `json` is a Failure of src/base/result.ts. */
  reply: { number: 129, fields: { request: 'u32', ok: 'bool', json: 'bytes' } },
  /** Something on the way to the reply (progress), JSON as the method says. */
  event: { number: 130, fields: { request: 'u32', json: 'bytes' } },
} as const;

export type ControlMessage = MessageOf<typeof controlMessages>;
