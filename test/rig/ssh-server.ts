/**
 * An SSH server in this process, by the ssh2 package: for tests of the ssh transport where there can be no fleet
 * (without root). Commands run as this account, in a HOME of their own.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type ServerChannel } from 'ssh2';
import { clear, endProcessesOf } from './processes.ts';

export class SshServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'rch-sshd-'));
  readonly home = join(this.folder, 'home');
  readonly identityFile = join(this.folder, 'id');
  readonly #hostKey = ssh2.utils.generateKeyPairSync('ed25519');
  readonly #children = new Set<ChildProcess>();
  readonly #server: ssh2.Server;
  /** Connections that were let in. */
  accepted = 0;

  private constructor() {
    mkdirSync(this.home);
    const client = ssh2.utils.generateKeyPairSync('ed25519');
    writeFileSync(this.identityFile, client.private, { mode: 0o600 });
    const known = ssh2.utils.parseKey(client.public);
    if (known instanceof Error) throw known;
    this.#server = new ssh2.Server({ hostKeys: [this.#hostKey.private] }, (connection) => {
      connection.on('error', () => undefined);
      connection.on('authentication', (context) => {
        const ours =
          context.method === 'publickey' &&
          context.key.data.equals(known.getPublicSSH()) &&
          (context.signature === undefined ||
            context.blob === undefined ||
            known.verify(context.blob, context.signature, context.hashAlgo));
        if (ours) context.accept();
        else context.reject(['publickey']);
      });
      connection.on('ready', () => {
        this.accepted += 1;
        connection.on('session', (accept) => {
          accept().on('exec', (acceptExec, _reject, info) => {
            this.#run(acceptExec(), info.command);
          });
        });
      });
    });
  }

  static async listen(): Promise<SshServer> {
    const server = new SshServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A line for known_hosts. */
  knownHosts(): string {
    return `[127.0.0.1]:${this.port} ${this.#hostKey.public}\n`;
  }

  workersToml(id: string): string {
    return (
      `[[workers]]\nid = "${id}"\ntransport = "ssh"\nhost = "127.0.0.1"\nport = ${this.port}\n` +
      `identity_file = "${this.identityFile}"\n`
    );
  }

  /** Ends the server, every command it started, and what was left in its HOME. */
  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    // The agent outlives its connection: that is its nature.
    await endProcessesOf(this.folder);
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    clear(this.folder);
  }

  #run(channel: ServerChannel, command: string): void {
    const { PATH = '/usr/bin:/bin', USER = 'worker' } = process.env;
    const child = spawn('/bin/sh', ['-c', command], {
      cwd: this.home,
      env: { HOME: this.home, PATH, USER, RCH_WKR_FOLDER: join(this.folder, 'agent') },
    });
    this.#children.add(child);
    channel.pipe(child.stdin);
    child.stdin.on('error', () => undefined);
    child.stdout.pipe(channel, { end: false });
    child.stderr.pipe(channel.stderr, { end: false });
    child.once('close', (code, signal) => {
      this.#children.delete(child);
      if (signal === null) channel.exit(code ?? 255);
      else channel.exit(signal.replace('SIG', ''));
      channel.end();
    });
  }
}
