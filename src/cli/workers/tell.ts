/** Tells a running daemon that the files changed. */
import type { Layout } from '../../base/layout.ts';
import { DaemonClient } from '../../client/daemon-client.ts';

/** Without a daemon there is nobody to tell; one that does not answer notices by itself within a second. */
export async function tellDaemon(layout: Layout): Promise<void> {
  const client = await DaemonClient.connect(layout);
  if (!client.ok) return;
  await client.value.call('reload', {}, { timeoutMs: 5000 });
  client.value.close();
}
