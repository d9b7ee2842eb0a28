/** `rch self-test`: options and help. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { leaf, wholeNumber, type Bind } from './leaf.ts';

const text = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

type Part = { readonly number: number; readonly of: number };

function part(said: string): Part {
  const [, number = 0, of = 0] = (/^(\d{1,4})\/(\d{1,4})$/.exec(said) ?? []).map(Number);
  if (number < 1 || number > of)
    throw new InvalidArgumentError('It must be K/N: part K of N parts, from 1/N to N/N.');
  return { number, of };
}

export function selfTestCommand(program: Command, bind: Bind): void {
  leaf(
    program,
    'self-test',
    'run some hundred odd commands here and on a worker, and compare all they do',
  )
    .option('--worker <id>', 'on this worker; by default any, or one that is a process here')
    .option('--tool <name...>', 'only the cases of these tools, such as gcc')
    .option('--case <name>', 'only cases whose name holds this')
    .option('--quick', 'a case that is there for several compilers with one of them alone')
    .option('--full', 'every case on pipes, terminals, files and mixtures of them; takes a while')
    .addOption(
      new Option('--part <k/n>', 'one of n parts of the cases, such as 1/2')
        .argParser(part)
        .default({ number: 1, of: 1 }, 'all of them'),
    )
    .option('--lanes <count>', 'so many cases side by side', wholeNumber(1), 2)
    .action(
      bind(async (context, options) => {
        const { selfTest } = await import('./self-test/self-test.ts');
        return selfTest(context, {
          worker: text(options['worker']),
          tools: Array.isArray(options['tool']) ? options['tool'].map(String) : [],
          case: text(options['case']),
          extent: options['full'] === true ? 'full' : options['quick'] === true ? 'quick' : 'usual',
          part: options['part'] as Part,
          lanes: Number(options['lanes']),
        });
      }),
    );
}
