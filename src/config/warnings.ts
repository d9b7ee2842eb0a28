/** What is right in its form and still not what anybody meant: workers that nobody has, a workers file that is not there. */
import { existsSync } from 'node:fs';
import { workersFile, type Layout } from '../base/layout.ts';
import { nearest } from '../base/nearest.ts';
import type { Layer } from './layers.ts';
import type { Layers } from './load.ts';
import { valueIn } from './origin.ts';
import { snakeOf, type Problem } from './problems.ts';
import { placeOf, placesIn } from './toml-lines.ts';

/** What names workers, in [workers] of any file. */
const naming = ['allowed', 'preferred', 'blocked'] as const;

function problemAt(
  { file, text }: Layer<unknown>,
  path: readonly string[],
  message: string,
): Problem {
  const key = path.map(snakeOf);
  const place = placeOf(placesIn(text), key);
  return { file, line: place?.line ?? 0, column: place?.column ?? 0, key: key.join('.'), message };
}

function namesAt(layer: Layer<unknown>, key: string): string[] {
  const value = valueIn(layer.raw, ['workers', key]);
  return [value].flat().filter((each): each is string => typeof each === 'string');
}

/** The names of a file that no worker has. `known`: ids; undefined while they cannot be read. */
export function unknownWorkers(
  layer: Layer<unknown>,
  known: readonly string[] | undefined,
): readonly Problem[] {
  if (known === undefined || layer.value === undefined) return [];
  return naming.flatMap((key) => {
    const names = namesAt(layer, key);
    const none = key === 'allowed' && !names.some((name) => known.includes(name));
    const effect = none ? ', so that every command runs here' : '';
    return names
      .filter((name) => !known.includes(name))
      .map((name) => {
        const meant = nearest(name, known);
        const list = known.length === 0 ? 'there are none yet' : `there are ${known.join(', ')}`;
        const hint = meant === undefined ? list : `did you mean "${meant}"?`;
        return problemAt(
          layer,
          ['workers', key],
          `no worker is called "${name}"${effect}; ${hint}`,
        );
      });
  });
}

/** The ids of workers; undefined where their file cannot be read. */
export function idsIn({ workers }: Layers): readonly string[] | undefined {
  if (workers.problems.length > 0) return undefined;
  return (workers.value?.workers ?? []).map(({ id }) => id);
}

/** `workers.config_file` names a file that is not there; where none is named, that is no mistake. */
export function missingWorkersFile(layers: Layers, layout: Layout): readonly Problem[] {
  const { file } = layers.workers;
  if (file === workersFile(layout) || existsSync(file)) return [];
  const path = ['workers', 'configFile'];
  const layer = [layers.user, layers.system].find(({ raw }) => valueIn(raw, path) !== undefined);
  return layer === undefined ? [] : [problemAt(layer, path, `there is no file ${file}`)];
}

/** All of it, for what holds in a folder. */
export function warningsOf(layers: Layers, layout: Layout): readonly Problem[] {
  const { system, user, project } = layers;
  const own = [system, user, ...(project === undefined ? [] : [project])];
  const known = idsIn(layers);
  return [
    ...missingWorkersFile(layers, layout),
    ...own.flatMap((layer) => unknownWorkers(layer, known)),
  ];
}
