/** Which Rust toolchain a command line of ours is to bring to workers: the one that a build would use. */
import { machine } from 'node:os';
import { ok, type Result } from '../../src/base/result.ts';
import type { ParamsOf, ReplyOf } from '../../src/protocol/methods.ts';
import { isRustupProxy, toolchainOf } from '../plan/rustup.ts';
import { environmentOf } from './request.ts';

/** Bytes as latin1, as plans have paths. */
const raw = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const plain = (text: string): string => Buffer.from(text, 'latin1').toString('utf8');

export function toolchainFor(asked: ParamsOf<'toolchain'>): Result<ReplyOf<'toolchain'>> {
  if (!isRustupProxy(raw(asked.rustc))) return ok({ rustup: false, name: null, folder: '' });
  const found = toolchainOf({
    plus: asked.name,
    cwd: raw(asked.cwd),
    env: environmentOf(asked.env.map(raw)),
    arch: machine(),
  });
  if (!found.ok) return found;
  const { name, folder } = found.value;
  return ok({ rustup: true, name: name ?? null, folder: plain(folder) });
}
