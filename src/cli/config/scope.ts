/** Which of the files a `rch config` command means, and what that file may hold. */
import { z } from 'zod';
import { configFile, daemonLog } from '../../base/layout.ts';
import { nearest } from '../../base/nearest.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { settingsIn, type Setting } from '../../config/known.ts';
import { projectConfigFile, readLayers, systemConfigFile, type Layers } from '../../config/load.ts';
import { projectRootOf } from '../../config/project-root.ts';
import { projectFile } from '../../config/project-schema.ts';
import { settingsFile } from '../../config/schema.ts';
import { existsSync } from 'node:fs';
import type { Examples } from '../../config/template.ts';
import type { Context } from '../report.ts';

export type Scope = 'system' | 'user' | 'project';

/** A file of one scope. */
export type Target = {
  readonly scope: Scope;
  readonly file: string;
  readonly schema: z.ZodType;
  readonly settings: readonly Setting[];
};

/** The folder of the project that this command is called in. */
export function projectHere({ env }: Pick<Context, 'env'>): string {
  return projectRootOf(process.cwd(), env['HOME']);
}

/** The same; none in a folder that was removed. */
export function projectIfAny(context: Pick<Context, 'env'>): string | undefined {
  try {
    return projectHere(context);
  } catch {
    return undefined;
  }
}

/** All layers as they hold in this folder. */
export function layersHere(context: Context): Layers {
  return readLayers(context.layout, context.env, projectHere(context));
}

/**
 * What a fresh file may say of this machine. Not that of a project, which others get too: the names of this user's workers
 * are none of their business.
 */
export function examplesFor(context: Context, scope: Scope): Examples {
  if (scope === 'project') return {};
  const { layout } = context;
  const { workers } = readLayers(layout, context.env);
  const ids = (workers.value?.workers ?? []).map(({ id }) => id);
  return {
    'general.log_file': daemonLog(layout),
    'workers.config_file': workers.file,
    ...(ids.length === 0 ? {} : { 'workers.allowed': ids }),
  };
}

export function targetOf(context: Context, scope: Scope): Target {
  switch (scope) {
    case 'system':
      return {
        scope,
        file: systemConfigFile,
        schema: settingsFile,
        settings: settingsIn(settingsFile),
      };
    case 'user':
      return {
        scope,
        file: configFile(context.layout),
        schema: settingsFile,
        settings: settingsIn(settingsFile),
      };
    case 'project':
      return {
        scope,
        file: projectConfigFile(projectHere(context)),
        schema: projectFile,
        settings: settingsIn(projectFile),
      };
  }
}

/** A setting of `settings` by its name in files; of a table, an entry of it: `execution.env.CC`. */
export type Named = {
  readonly setting: Setting;
  /** As the file has it. */
  readonly path: readonly string[];
  /** The value is a text of the user's own name in a table. */
  readonly entry: boolean;
};

export function findSetting(settings: readonly Setting[], name: string): Named | undefined {
  const exact = settings.find((setting) => setting.name === name);
  if (exact !== undefined) return { setting: exact, path: name.split('.'), entry: false };
  const table = settings.find(
    ({ name: at, kind }) => kind === 'table' && name.startsWith(`${at}.`),
  );
  if (table === undefined) return undefined;
  const entry = name.slice(table.name.length + 1);
  return { setting: table, path: [...table.name.split('.'), entry], entry: true };
}

export function unknownKey(name: string, settings: readonly Setting[]): Result<never> {
  const names = settings.map((setting) => setting.name);
  // Somebody may have the right last part, or the right section.
  const tail = names.find((each) => each.split('.').at(-1) === name.split('.').at(-1));
  const meant = nearest(name, names) ?? tail;
  return fail(
    `there is no key "${name}"`,
    meant === undefined ? 'rch config keys' : `did you mean ${meant}?`,
  );
}

/** What was asked for by --system, --user and --project. */
export type Asked = Scope | undefined;

/**
 * The file in which a key is to be changed: the one asked for; else that of the project, where there is one and it may
 * hold the key, or where only it may; else the user's.
 */
export function targetFor(context: Context, asked: Asked, name: string): Result<Target & Named> {
  const project = targetOf(context, 'project');
  const user = targetOf(context, 'user');
  const inProject = findSetting(project.settings, name);
  const inUser = findSetting(user.settings, name);
  if (inProject === undefined && inUser === undefined)
    return unknownKey(name, [...user.settings, ...project.settings]);
  const chosen =
    asked ??
    (inProject !== undefined && (inUser === undefined || existsSync(project.file))
      ? 'project'
      : 'user');
  const target = targetOf(context, chosen);
  const named = chosen === 'project' ? inProject : inUser;
  if (named === undefined)
    return fail(
      `${name} is no key of ${target.file}`,
      chosen === 'project'
        ? `rch config set --user ${name} …`
        : `rch config set --project ${name} …`,
    );
  return ok({ ...target, ...named });
}

/** The file that a command without a key means: the one asked for, else the project's where there is one, else the user's. */
export function targetWithout(context: Context, asked: Asked): Target {
  if (asked !== undefined) return targetOf(context, asked);
  const project = targetOf(context, 'project');
  return existsSync(project.file) ? project : targetOf(context, 'user');
}
