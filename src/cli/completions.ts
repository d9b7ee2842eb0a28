/** `rch completions SHELL`: the few lines that a shell needs; what fits where, `rch complete` says. */
import { ok } from '../base/result.ts';
import type { Outcome } from './report.ts';

export const completionShells = ['bash', 'zsh', 'fish'] as const;
export type CompletionShell = (typeof completionShells)[number];

const scripts: Readonly<Record<CompletionShell, string>> = {
  bash: `# rch: completions for bash. In ~/.bashrc: eval "$(rch completions bash)"
_rch() {
  local IFS=$'\\n'
  COMPREPLY=($(rch complete --shell bash -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _rch rch`,
  zsh: `#compdef rch
# rch: completions for zsh. As a file _rch in a folder of $fpath, or in ~/.zshrc: eval "$(rch completions zsh)"
_rch() {
  local -a found
  found=("\${(@f)$(rch complete --shell zsh -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${found[1]}" ]]; then _describe 'rch' found; else _files; fi
}
if [[ "\${funcstack[1]}" = _rch ]]; then _rch "$@"; else compdef _rch rch; fi`,
  fish: `# rch: completions for fish. rch completions fish > ~/.config/fish/completions/rch.fish
function __rch_complete
  set -l typed (commandline -opc)
  rch complete --shell fish -- $typed[2..-1] (commandline -ct) 2>/dev/null
end
complete -c rch -e
complete -c rch -a '(__rch_complete)'`,
};

export function completions(shell: CompletionShell): Outcome {
  const script = scripts[shell];
  return ok({ facts: { shell, script }, text: () => script });
}
