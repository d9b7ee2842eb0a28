/** `rch why LINE`: what each tier says of each command in a shell line, and where a shim would run it now. */
import { ok, type Result } from '../base/result.ts';
import type { DaemonClient } from '../client/daemon-client.ts';
import type { LineCommand, ReplyOf } from '../protocol/methods.ts';
import { lineText, type ExplainedCommand } from './render/line.ts';
import type { Context, Outcome } from './report.ts';
import { realTool } from './shim/tools.ts';

/** ms for a decision, the planning of a large project included. */
const PATIENCE = 60_000;

const raw = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

function environment(context: Context, command?: LineCommand): string[] {
  const all = Object.entries(context.env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  // The first of a name counts.
  return [...(command?.assignments ?? []).toReversed(), ...all];
}

/** What the front would answer a shim that is called with these words; null when the line alone does not tell. */
async function explained(
  client: DaemonClient,
  command: LineCommand,
  context: Context,
): Promise<Result<ReplyOf<'explain'> | null>> {
  const [name] = command.words;
  if (command.verdict !== 'candidate' || !command.fixed || command.cwd === null) return ok(null);
  if (name === undefined) return ok(null);
  const tool = realTool(context.layout, context.env['PATH'] ?? '', name);
  if (tool === undefined) return ok(null);
  return client.call(
    'explain',
    {
      tool: raw(tool),
      argv: command.words.map(raw),
      cwd: raw(command.cwd),
      env: environment(context, command).map(raw),
    },
    { timeoutMs: PATIENCE },
  );
}

export async function whyLine(
  client: DaemonClient,
  line: string,
  context: Context,
): Promise<Outcome> {
  const reply = await client.call(
    'classifyLine',
    { line, cwd: process.cwd(), env: environment(context) },
    { timeoutMs: PATIENCE },
  );
  if (!reply.ok) return reply;
  const commands: ExplainedCommand[] = [];
  for (const command of reply.value.commands) {
    const decision = await explained(client, command, context);
    if (!decision.ok) return decision;
    commands.push({ ...command, decision: decision.value });
  }
  const facts = { line, ...reply.value, commands };
  return ok({ facts, text: (look) => lineText(facts, look) });
}
