/** The whole build of a Rust workspace, against the same build by hand on the worker with the same toolchain. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, ms, type Line } from './measure.ts';
import { Stage } from './stage.ts';
import { quote } from './timed-shell.ts';

const CRATES = 60;
/** Changes with what `generate` writes. */
const EDITION = 1;
/** Before each build, ms: what the one before left to do (of the disk, of rch) is done by then. */
const REST = 2000;
const WORKER_FOLDER = '.cache/rch-wkr';

function source(at: number, needs: readonly number[]): string {
  const calls = needs.map((n) => `part${n}::total(seed)`).join(' ^ ') || 'seed';
  const items = Array.from({ length: 12 }, (_, k) => {
    return `
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Item${k} { pub id: u64, pub name: String, pub tags: Vec<String> }
impl Item${k} {
    pub fn new(id: u64) -> Self {
        Item${k} { id, name: format!("item-{}-{}", ${at}, id), tags: (0..id % 7).map(|n| n.to_string()).collect() }
    }
    pub fn weight(&self) -> u64 {
        let mut by = HashMap::new();
        for tag in &self.tags { *by.entry(tag.len()).or_insert(0u64) += self.id; }
        by.values().copied().fold(${k}, u64::wrapping_add)
    }
}
impl fmt::Display for Item${k} {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{} {:?} {}", self.id, self.tags, self.name) }
}`;
  }).join('\n');
  const sums = Array.from({ length: 12 }, (_, k) => `Item${k}::new(seed).weight()`).join(', ');
  return `use std::collections::HashMap;
use std::fmt;
${items}
pub fn total(seed: u64) -> u64 {
    let own: u64 = [${sums}].iter().copied().fold(0, u64::wrapping_add);
    own.wrapping_add(${calls})
}
`;
}

/** A workspace of crates without dependencies outside it: each needs up to two others, the last is a program. */
function generate(folder: string): void {
  const names = Array.from({ length: CRATES }, (_, at) => `part${at}`);
  mkdirSync(folder, { recursive: true });
  const members = names.map((name) => `"${name}"`).join(', ');
  writeFileSync(
    join(folder, 'Cargo.toml'),
    `[workspace]\nresolver = "2"\nmembers = [${members}]\n`,
  );
  let lock = 'version = 4\n';
  const packages: string[] = [];
  for (const [at, name] of names.entries()) {
    const needs = at === 0 ? [] : [...new Set([Math.floor(at / 2), Math.floor(at / 3)])];
    const kind = at === CRATES - 1 ? 'main' : 'lib';
    mkdirSync(join(folder, name, 'src'), { recursive: true });
    const dependencies = needs.map((n) => `part${n} = { path = "../part${n}" }\n`).join('');
    writeFileSync(
      join(folder, name, 'Cargo.toml'),
      `[package]\nname = "${name}"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n${dependencies}`,
    );
    const main = kind === 'main' ? '\nfn main() { println!("{}", total(7)); }\n' : '';
    writeFileSync(join(folder, name, 'src', `${kind}.rs`), source(at, needs) + main);
    const locked = needs
      .map((n) => ` "part${n}",\n`)
      .sort()
      .join('');
    packages.push(
      `\n[[package]]\nname = "${name}"\nversion = "0.1.0"\n${locked === '' ? '' : `dependencies = [\n${locked}]\n`}`,
    );
  }
  lock += packages.sort().join('');
  writeFileSync(join(folder, 'Cargo.lock'), lock);
}

/** The toolchain that rch brought to the worker, as a path there. */
function shippedToolchain(stage: Stage): string {
  const home = `/home/${stage.worker.user}/${WORKER_FOLDER}/trees`;
  for (const workstation of readdirSync(stage.seen(home)))
    for (const key of readdirSync(stage.seen(join(home, workstation)))) {
      const folder = join(home, workstation, key);
      const toolchains = join(folder, 't', 'toolchains');
      if (!existsSync(stage.seen(toolchains))) continue;
      for (const name of readdirSync(stage.seen(toolchains)))
        if (existsSync(stage.seen(join(toolchains, name, 'bin', 'rustc'))))
          return join(toolchains, name);
    }
  throw new Error('the worker has no toolchain of ours');
}

export async function rustWorkspace(stage: Stage, rounds: number): Promise<Line[]> {
  const kept = join(Stage.kept, `workspace-${EDITION}`);
  if (!existsSync(kept)) {
    rmSync(`${kept}.new`, { recursive: true, force: true });
    generate(`${kept}.new`);
    renameSync(`${kept}.new`, kept);
  }
  const here = join(stage.folder, 'workspace');
  cpSync(kept, here, { recursive: true, preserveTimestamps: true });
  const there = await stage.copyThere(here, 'workspace');
  // Brings the toolchain.
  await stage.remote(here, 'cargo build --offline');
  const toolchain = shippedToolchain(stage);
  const byHand = `export PATH=${quote(`${toolchain}/bin`)}:/usr/bin:/bin CARGO_HOME=~/cargo-home; cd ${quote(there)} && `;
  const remote: number[] = [];
  const hand: number[] = [];
  const count = 2 * rounds + 1;
  const byRch = async (): Promise<void> => {
    await sleep(REST);
    rmSync(join(here, 'target'), { recursive: true, force: true });
    remote.push((await stage.remote(here, 'cargo build --offline')).took);
  };
  const byItself = async (): Promise<void> => {
    await sleep(REST);
    await stage.there.must(`rm -rf ${quote(`${there}/target`)}`);
    hand.push((await stage.there.must(`${byHand}cargo build --offline`)).took);
  };
  // Ten seconds of both cores make some machines slower and slower: each is compared with the one beside it, and neither
  // always comes first.
  for (let round = 0; round < count; round++)
    for (const build of round % 2 === 0 ? [byRch, byItself] : [byItself, byRch]) await build();
  const differences = remote.map((took, round) => took - (hand[round] ?? took));
  stage.detail(`added: ${differences.map(ms).join(', ')}`);
  const added = median(differences);

  const packages = readFileSync(join(kept, 'Cargo.lock'), 'utf8').split('[[package]]').length - 1;
  return [
    {
      bench: 'workspace',
      what: `whole build of ${packages} crates, warm toolchain (+${ms(added)})`,
      measured: ms(median(remote)),
      baseline: ms(median(hand)),
      ratio: 1 + added / median(hand),
      goal: '+5 % + 300 ms',
      met: added <= 0.05 * median(hand) + 300,
    },
  ];
}
