/** The link process: forked by the front, one a worker; does everything that carries payload. */
import { mkdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { layoutOf } from '../../src/base/layout.ts';
import { messageOf } from '../../src/base/result.ts';
import { workstationId } from '../../src/base/workstation.ts';
import { configSchema } from '../../src/config/schema.ts';
import { workerConfig } from '../../src/config/worker-schema.ts';
import { frontToLink, type FrontToLink, type LinkToFront } from '../../src/protocol/ipc.ts';
import { connect } from '../transport/connect.ts';
import { helloOf, mannersOf } from '../lifecycle/hello.ts';
import { LinkLog } from './link-log.ts';
import { Link } from './link.ts';

const version = process.env['RCH_BUILD_VERSION'] ?? 'unbuilt';
/** For the stat caches to be written when the front hands its jobs over, ms. */
const SAVING_MS = 1000;

function tell(message: LinkToFront): void {
  if (process.connected) process.send?.(message);
}

async function configure(message: Extract<FrontToLink, { type: 'configure' }>): Promise<Link> {
  const worker = workerConfig.parse(message.worker);
  const config = configSchema.parse(message.config);
  const layout = layoutOf(process.env, import.meta.url);
  mkdirSync(layout.run, { recursive: true, mode: 0o700 });
  // The socket is bound by its bare name: sun_path holds 107 bytes, and a home may be deeper.
  process.chdir(layout.run);
  const started = await Link.start({
    layout,
    worker: worker.id,
    version,
    connect: (progress) => connect(worker, { layout, progress }),
    hello: helloOf(workstationId(layout), worker, config),
    ...mannersOf(worker, config),
    log: new LinkLog(config.general.logLevel, tell),
  });
  if (!started.ok) throw new Error(started.failure.reason);
  return started.value;
}

let link: Promise<Link> | undefined;

async function handle(message: FrontToLink): Promise<void> {
  if (message.type === 'configure') {
    link ??= configure(message);
    await link;
    return;
  }
  const running = await link;
  if (message.type === 'stop') {
    await running?.stop(message.deadlineMs);
    process.exit(0);
  }
  if (message.type === 'leave') {
    const late = delay(SAVING_MS, undefined, { ref: false });
    await Promise.race([running?.leave(), late]);
    process.exit(0);
  }
  running?.handle(message);
}

process.on('message', (value: unknown) => {
  const message = frontToLink.safeParse(value);
  if (!message.success) return;
  handle(message.data).catch((thrown: unknown) => {
    tell({ type: 'disconnected', reason: messageOf(thrown), next: '' });
    process.exit(1);
  });
});

// The front died. What runs goes on at the worker, and the link that the next front forks takes it up from its files.
process.on('disconnect', () => process.exit(0));
// The front ends its links itself, in its own time; a service manager signals all processes of the daemon at once.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => undefined);
