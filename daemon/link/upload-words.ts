/** Tells the front how an upload to the worker gets on. */
import type { LinkToFront } from '../../src/protocol/ipc.ts';
import type { UploadProgress } from '../transport/transport.ts';

/** ms between two words on an upload: not more often than somebody could read. */
const UPLOAD_MS = 200;

export function uploadWords(
  tell: (message: LinkToFront) => void,
): (upload: UploadProgress) => void {
  let told = 0;
  return (upload) => {
    const now = performance.now();
    if (now - told < UPLOAD_MS && upload.bytes < upload.total) return;
    told = now;
    tell({ type: 'uploading', ...upload });
  };
}
