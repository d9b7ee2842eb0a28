/** The keys to offer a host: identity files as ssh would choose them, and those that ssh-agent holds. */
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import ssh2 from 'ssh2';
import type {
  AnyAuthMethod,
  IdentityCallback,
  ParsedKey,
  SignCallback,
  SigningRequestOptions,
} from 'ssh2';
import { fail, messageOf, ok, type Result } from '../../src/base/result.ts';
import { fingerprint } from './host-keys.ts';
import type { SshSettings } from './ssh-settings.ts';

export type Offer = { readonly method: AnyAuthMethod; readonly label: string };

export type Offers = {
  readonly offers: readonly Offer[];
  /** Why some files were left out, for the message when no key was accepted. */
  readonly notes: readonly string[];
  /** Commands that make these files usable. */
  readonly mends: readonly string[];
  /** Only the system's own ssh can use this: the reason. */
  readonly beyond: string | undefined;
};

/** ssh-agent, cut down to some of its keys (IdentitiesOnly, encrypted files). */
class ChosenKeys extends ssh2.BaseAgent<ParsedKey> {
  readonly #agent: ssh2.OpenSSHAgent;
  readonly #chosen: readonly Buffer[];

  constructor(socket: string, chosen: readonly Buffer[]) {
    super();
    this.#agent = new ssh2.OpenSSHAgent(socket);
    this.#chosen = chosen;
  }

  override getIdentities(done: IdentityCallback<ParsedKey>): void {
    this.#agent.getIdentities((error, keys) => {
      const held = (keys ?? []) as ParsedKey[];
      done(
        error,
        held.filter((key) => this.#chosen.some((blob) => blob.equals(key.getPublicSSH()))),
      );
    });
  }

  override sign(
    key: ParsedKey,
    data: Buffer,
    options: SigningRequestOptions | SignCallback,
    done?: SignCallback,
  ): void {
    if (typeof options === 'function') this.#agent.sign(key, data, {}, options);
    else this.#agent.sign(key, data, options, done);
  }
}

type Identity =
  | { readonly kind: 'key'; readonly path: string; readonly key: ParsedKey }
  /** Its private half is not readable to us, but perhaps ssh-agent has it. */
  | { readonly kind: 'locked'; readonly path: string; readonly blob: Buffer | undefined }
  | { readonly kind: 'beyond'; readonly path: string; readonly why: string }
  | { readonly kind: 'open'; readonly path: string; readonly mode: number }
  | { readonly kind: 'unreadable'; readonly path: string; readonly why: string };

function parsed(data: Buffer): ParsedKey | Error {
  // Its types say one key; files of some formats give a list.
  const keys: ParsedKey | Error | readonly ParsedKey[] = ssh2.utils.parseKey(data);
  if (keys instanceof Error) return keys;
  return [keys].flat()[0] ?? new Error('it holds no key');
}

async function publicHalf(path: string): Promise<Buffer | undefined> {
  const data = await readFile(`${path}.pub`).catch(() => undefined);
  if (data === undefined) return undefined;
  const key = parsed(data);
  return key instanceof Error ? undefined : key.getPublicSSH();
}

async function identity(path: string): Promise<Identity> {
  try {
    const data = await readFile(path);
    const mode = (await stat(path)).mode & 0o777;
    const key = parsed(data);
    if (!(key instanceof Error) && !key.isPrivateKey())
      return { kind: 'locked', path, blob: key.getPublicSSH() };
    // ssh itself refuses a private key that others can read.
    if ((mode & 0o077) !== 0) return { kind: 'open', path, mode };
    if (existsSync(`${path}-cert.pub`)) return { kind: 'beyond', path, why: 'has a certificate' };
    if (!(key instanceof Error)) return { kind: 'key', path, key };
    if (/[Ee]ncrypted/.test(key.message))
      return { kind: 'locked', path, blob: await publicHalf(path) };
    const why = key.message.includes('sk-')
      ? 'is held by a security key'
      : `is of a kind only ssh reads (${key.message})`;
    return { kind: 'beyond', path, why };
  } catch (thrown) {
    return { kind: 'unreadable', path, why: messageOf(thrown) };
  }
}

/** Why a file was left out, and the command that mends it. */
type Note = { readonly text: string; readonly mend?: string };

function noteOf(found: Identity, agent: string | undefined): Note | undefined {
  const { path } = found;
  switch (found.kind) {
    case 'key':
      return undefined;
    case 'beyond':
      return {
        text: `${path} ${found.why}: name it as the worker's identity_file, so that ssh itself is used`,
      };
    case 'locked': {
      const secret = path.replace(/\.pub$/, '');
      const what = secret === path ? 'is encrypted' : 'is the public half of a key';
      return agent === undefined
        ? {
            text: `${path} ${what} and no ssh-agent runs`,
            mend: `eval $(ssh-agent); ssh-add ${secret}; rch daemon restart`,
          }
        : { text: `${path} ${what}, and ssh-agent has no key of it`, mend: `ssh-add ${secret}` };
    }
    case 'open':
      return {
        text: `${path} was not used, since others can read it`,
        mend: `chmod 600 ${path}`,
      };
    case 'unreadable':
      return { text: `${path}: ${found.why}` };
  }
}

/** Fails when the file the user chose for this worker cannot be used at all. */
function refuseChosen(found: Identity): Result<undefined> {
  if (found.kind === 'open')
    return fail(
      `the identity file ${found.path} can be read by others (mode ${found.mode.toString(8).padStart(4, '0')})`,
      `chmod 600 ${found.path}`,
    );
  if (found.kind === 'unreadable')
    return fail(`the identity file ${found.path} cannot be read: ${found.why}`);
  return ok(undefined);
}

/** The keys to offer, in the order ssh would: chosen files, then the agent, then the usual files. */
export async function offersFor(settings: SshSettings): Promise<Result<Offers>> {
  const chosenPath = settings.chosenIdentity ? settings.identities[0] : undefined;
  if (chosenPath !== undefined && !existsSync(chosenPath))
    return fail(
      `the identity file ${chosenPath} does not exist`,
      'give this worker another identity_file in workers.toml',
    );
  const found = await Promise.all(
    settings.identities.filter((path) => existsSync(path)).map(identity),
  );
  const chosen = found.find((each) => each.path === chosenPath);
  if (chosen !== undefined) {
    const usable = refuseChosen(chosen);
    if (!usable.ok) return usable;
  }
  const username = settings.user;
  const keys = found.flatMap((each): Offer[] =>
    each.kind === 'key'
      ? [
          {
            method: { type: 'publickey', username, key: each.key },
            label: `${each.path} (${each.key.type} ${fingerprint(each.key.getPublicSSH())})`,
          },
        ]
      : [],
  );
  const locked = found.flatMap((each) =>
    each.kind === 'locked' && each.blob !== undefined ? [each.blob] : [],
  );
  const few = settings.identitiesOnly || settings.chosenIdentity;
  const agent: Offer[] =
    settings.agent === undefined || (few && locked.length === 0)
      ? []
      : [
          {
            method: {
              type: 'agent',
              username,
              agent: few ? new ChosenKeys(settings.agent, locked) : settings.agent,
            },
            label: `the keys of ssh-agent (${settings.agent})`,
          },
        ];
  const notes = found.flatMap((each) => noteOf(each, settings.agent) ?? []);
  const beyond = found.find((each) => each.kind === 'beyond');
  return ok({
    offers: settings.chosenIdentity ? [...keys, ...agent] : [...agent, ...keys],
    notes: notes.map(({ text }) => text),
    mends: notes.flatMap(({ mend }) => mend ?? []),
    beyond:
      beyond?.kind === 'beyond' && (beyond === chosen || keys.length + agent.length === 0)
        ? `the key ${beyond.path} ${beyond.why}`
        : undefined,
  });
}
