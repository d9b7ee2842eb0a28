/** Where cargo writes, and what it locks there: https://doc.rust-lang.org/cargo/reference/build-cache.html. */
import { posix } from 'node:path';
import type { CargoFacts } from '../classify/verdict.ts';
import type { CargoMetadata } from './cargo-metadata.ts';
import { absolute } from './files.ts';

/**
 * Each folder that cargo fills, one a profile and a target platform, holds its lock. Of a profile that the command does
 * not use the cache stays, too: nothing of it is sent. With the fingerprint of a unit lies what rustc said, which is shown
 * again while the unit is fresh, and removed when it has nothing to say (cargo's `output-*`).
 */
export const filledByCargo = {
  mark: '.cargo-lock',
  cache: 'incremental',
  units: '.fingerprint',
};

export type TargetFolders = {
  /** The target folder, and the build folder where it is another. */
  readonly all: readonly string[];
  /** flock(2)ed by cargo while it builds: `.cargo-lock` in each profile's folder (cargo 1.95, by strace). */
  readonly locks: readonly string[];
  /** rustc's incremental caches, which only matter to the next build on the same machine. */
  readonly incremental: readonly string[];
};

export type TargetQuestion = {
  readonly verdict: CargoFacts;
  readonly metadata: CargoMetadata;
  readonly targets: readonly string[];
  readonly cwd: string;
};

function profileFolder(profile: string | undefined): string {
  if (profile === undefined || profile === 'dev' || profile === 'test') return 'debug';
  return profile === 'bench' ? 'release' : profile;
}

/** A target's folder is named by its triple, or by its specification's file. */
function targetFolder(target: string): string {
  return target.endsWith('.json') ? posix.basename(target, '.json') : target;
}

export function targetFolders({ verdict, metadata, targets, cwd }: TargetQuestion): TargetFolders {
  const configured = metadata.target_directory;
  const target = verdict.targetDir === undefined ? configured : absolute(verdict.targetDir, cwd);
  const build = metadata.build_directory ?? configured;
  const all = [...new Set([target, build === configured ? target : build])];
  const profile = profileFolder(verdict.profile);
  const within = [profile, ...targets.map((each) => `${targetFolder(each)}/${profile}`)];
  const folders = all.flatMap((folder) => within.map((each) => `${folder}/${each}`));
  return {
    all,
    locks: folders.map((folder) => `${folder}/${filledByCargo.mark}`),
    incremental: folders.map((folder) => `${folder}/${filledByCargo.cache}`),
  };
}
