/**
 * The coding agents: which of them ask a program before they run a shell command and take a changed command from it
 * without being given a permission, and what helps with the others.
 */
import { join } from 'node:path';

export const agentNames = ['claude', 'codex', 'gemini', 'cursor', 'generic'] as const;
export type AgentName = (typeof agentNames)[number];

export const scopes = ['user', 'project', 'local'] as const;
/** `local` is a project's file for one user. */
export type Scope = (typeof scopes)[number];

/** Where an agent asks. */
export type Point = {
  readonly title: string;
  /** The settings file of each scope that there is; `project` is the folder that the agent works in. */
  readonly file: (scope: Scope, at: { home: string; config: string; project: string }) => string;
  readonly scopes: readonly Scope[];
  /** The environment variable that moves the user's folder, and where it is by default. */
  readonly moved: string | undefined;
  readonly folder: string;
  readonly event: string;
  readonly matcher: string;
  /** Told once at the beginning of a session, where every shell of it can be given the shims; then no line is changed. */
  readonly start: string | undefined;
  /** What rch-hook is called with. */
  readonly args: string;
  /** More members of the entry. */
  readonly entry: Readonly<Record<string, unknown>>;
  /** How a changed command passes the agent's own rules. */
  readonly rules: string;
};

/** code.claude.com/docs/en/hooks and /permissions, seen with Claude Code 2.1.197; timeout in seconds. */
const claude: Point = {
  title: 'Claude Code',
  file: (scope, { config, project }) =>
    scope === 'user'
      ? join(config, 'settings.json')
      : join(project, '.claude', scope === 'local' ? 'settings.local.json' : 'settings.json'),
  scopes,
  moved: 'CLAUDE_CONFIG_DIR',
  folder: '.claude',
  event: 'PreToolUse',
  matcher: 'Bash',
  start: 'SessionStart',
  args: '',
  entry: { timeout: 5 },
  rules:
    'Each new session has the shims on the PATH of its shells, and no command is changed: the rules decide as they did before.',
};

/** docs/hooks/reference.md of Gemini CLI, as of 2026; hooks run before its policy; timeout in ms. */
const gemini: Point = {
  title: 'Gemini CLI',
  file: (scope, { config, project }) =>
    join(scope === 'user' ? config : join(project, '.gemini'), 'settings.json'),
  scopes: ['user', 'project'],
  moved: undefined,
  folder: '.gemini',
  event: 'BeforeTool',
  matcher: 'run_shell_command',
  start: undefined,
  args: ' gemini',
  entry: { name: 'rch', timeout: 5000 },
  rules:
    "Gemini CLI's policy looks at the line as it will run; the hook gives no decision of its own.",
};

export function pointOf(agent: AgentName): Point | undefined {
  return agent === 'claude' ? claude : agent === 'gemini' ? gemini : undefined;
}

const shell = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const toml = (text: string): string => JSON.stringify(text);

/** What to do with an agent that has no such point; `path` is PATH as it is now. */
export function recipeFor(agent: AgentName, shims: string, path: string): string[] {
  const shimsFirst = [shims, ...path.split(':').filter((folder) => folder !== shims)].join(':');
  const everywhere = [
    'Either have the shims on PATH in every shell, once and for all:',
    '  rch shim install',
  ];
  switch (agent) {
    case 'codex':
      return [
        'Codex takes a changed command from a hook only together with a permission to run it, so rch gives it none.',
        ...everywhere,
        'or start Codex with the shims on its PATH:',
        '  rch exec -- codex',
        'Where ~/.codex/config.toml fixes PATH for commands, name the shims there, first:',
        '  [shell_environment_policy.set]',
        `  PATH = ${toml(shimsFirst)}`,
        'Its shells are login shells: a profile that sets PATH anew undoes the last two, and the first holds.',
      ];
    case 'cursor':
      return [
        'Cursor takes a changed command from a hook only together with a permission to run it, so rch gives it none.',
        ...everywhere,
        'or start Cursor with the shims on its PATH:',
        '  rch exec -- cursor .',
      ];
    default:
      return [
        ...everywhere,
        'or start the agent with the shims on its PATH:',
        '  rch exec -- AGENT',
        'or put the shims first on PATH in whatever sets its environment:',
        `  export PATH=${shell(shims)}:"$PATH"`,
      ];
  }
}
