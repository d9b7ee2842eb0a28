/** `dashboard.mjs PORT`: the process of the web page, forked by the front; ends with it, when told to, or unused. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { layoutOf } from '../../src/base/layout.ts';
import { messageOf } from '../../src/base/result.ts';
import { DaemonClient } from '../../src/client/daemon-client.ts';
import type { DashboardToFront } from '../../src/protocol/ipc.ts';
import { DashboardServer } from './server.ts';

/** ms without a page that is open. */
const IDLE = 10 * 60_000;

function tell(message: DashboardToFront): void {
  if (process.connected) process.send?.(message);
}

process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));

try {
  const layout = layoutOf(process.env, import.meta.url);
  const page = readFileSync(join(layout.lib, 'dashboard.html'), 'utf8');
  const server = await DashboardServer.listen(
    {
      page: () => page,
      token: randomBytes(32).toString('base64url'),
      connect: () => DaemonClient.connect(layout),
      idleMs: IDLE,
      onIdle: () => process.exit(0),
    },
    Number(process.argv[2] ?? '0'),
  );
  if (server.ok) tell({ type: 'listening', url: server.value.url });
  else tell({ type: 'failed', reason: server.failure.reason });
} catch (thrown) {
  tell({ type: 'failed', reason: messageOf(thrown) });
}
