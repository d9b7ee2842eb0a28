/** Reads the project and says what a candidate command needs in order to run elsewhere. Changes nothing. */
import type { Result } from '../../src/base/result.ts';
import { never } from '../../src/base/result.ts';
import type { Request } from '../classify/request.ts';
import type { Candidate } from '../classify/verdict.ts';
import { newDraft } from './draft.ts';
import { planBuild } from './plan-build.ts';
import { planCargo } from './plan-cargo.ts';
import { planCompiler, planRustc } from './plan-compiler.ts';
import type { Plan, PlanContext } from './types.ts';

/**
 * The plan of a candidate command; a failure's reason is why it runs here. A plan with `first` holds nothing else
 * of use: run that command, then plan again with `context.fetched`.
 */
export function plan(
  request: Request,
  verdict: Candidate,
  context: PlanContext,
): Promise<Result<Plan>> {
  const draft = newDraft(request, verdict, context);
  switch (verdict.family) {
    case 'cargo':
      return planCargo(draft, verdict);
    case 'rustc':
      return planRustc(draft, verdict);
    case 'compiler':
      return planCompiler(draft, verdict);
    case 'make':
    case 'ninja':
    case 'cmake':
    case 'meson':
      return planBuild(draft, verdict);
    default:
      return never(verdict);
  }
}
