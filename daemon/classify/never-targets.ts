/** Targets of make, ninja and cmake --build that clean, install, ask, edit or serve: they belong to this machine. */
import { heavy, light, type LocalVerdict } from './verdict.ts';

const cleaning =
  /^(clean|distclean|mrproper|realclean|maintainer-clean|mostlyclean|clobber|clean[-_].*|.*[-_]clean)$/;
const installing = /^(un)?install([-_/].*)?$|^(deploy|publish|upload|push|release|dist-upload)$/;
const asking = /^(help|list|usage|version|print-.*|list_install_components)$/;
const editing =
  /^((menu|x|n|g|q|old|nconf|def|savedef|olddef)?config|.*_defconfig|edit_cache|rebuild_cache|fmt|format|tags|TAGS|ctags|cscope)$/;
const serving = /^(run|serve|server|start|dev|watch|up|shell|debug|gdb)$/;

/** The verdict on targets of which one is never built elsewhere. */
export function neverTarget(tool: string, targets: readonly string[]): LocalVerdict | undefined {
  for (const target of targets) {
    const name = target.slice(target.lastIndexOf('/') + 1);
    const only = targets.length === 1;
    if (cleaning.test(name))
      return (only ? light : heavy)(`${tool} ${name} only deletes what is here`);
    if (installing.test(name)) return heavy(`${tool} ${name} changes this machine`);
    if (asking.test(name)) return light(`${tool} ${name} only asks`);
    if (editing.test(name)) return light(`${tool} ${name} edits files or configures`);
    if (serving.test(name)) return heavy(`${tool} ${name} runs a program of this machine`);
  }
  return undefined;
}
