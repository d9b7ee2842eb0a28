/** What a link says of the state of its worker. */
import type { LinkToFront } from '../../src/protocol/ipc.ts';

export type AboutState = Extract<
  LinkToFront,
  {
    type:
      | 'listening'
      | 'connected'
      | 'slots'
      | 'connecting'
      | 'vitals'
      | 'silent'
      | 'clock'
      | 'uploading'
      | 'disconnected';
  }
>;
