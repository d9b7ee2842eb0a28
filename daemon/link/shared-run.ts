/** A run that served another job as well, as it is told to that one's launcher and written to its file. */
import { encode } from '../../src/protocol/codec.ts';
import { FrameReader } from '../../src/protocol/frames.ts';
import { shimMessages } from '../../src/protocol/shim.ts';
import type { JobLine, JobRecord } from '../journal/job-file.ts';
import type { Caller } from './caller.ts';
import { piecesFrom, readPieces, writtenPieces } from './recording.ts';
import type { Shared } from './twins.ts';

/** Tells a launcher what the tool wrote, beyond what it has written of each stream already. */
export function tellShared(
  shared: Shared,
  caller: Caller,
  written: (stream: number) => bigint,
): void {
  for (const { stream, offset, data } of piecesFrom(shared.pieces, written))
    caller.send({ type: 'out', stream, offset, data });
}

/** Bytes that the tool wrote. */
export function outputOf(shared: Shared): number {
  return shared.pieces.reduce((sum, { data }) => sum + data.length, 0);
}

export function sharedLine({ job, end, pieces, program }: Shared): JobLine {
  return {
    type: 'shared',
    job,
    end,
    pieces: writtenPieces(pieces),
    program: program === undefined ? '' : encode(shimMessages, program).toString('base64'),
  };
}

export function sharedOf(line: JobRecord['shared']): Shared | undefined {
  if (line === undefined) return undefined;
  const { job, end } = line;
  return { job, end, pieces: readPieces(line.pieces), program: programOf(line.program) };
}

function programOf(text: string): Shared['program'] {
  const read = new FrameReader(shimMessages).push(Buffer.from(text, 'base64'));
  const [message] = read.ok ? read.value : [];
  return message?.type === 'execHere' ? message : undefined;
}
