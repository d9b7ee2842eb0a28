import { expect, it } from 'vitest';
import { overtaken, type Wait } from '../../scripts/storms/fairness.ts';

const wait = (caller: string, asked: number, served: number): Wait => ({ caller, asked, served });

it('finds who was served again and again while another waited, and nobody else', () => {
  const long = wait('patient', 0, 100);
  const others = [wait('other', 1, 10), wait('other', 20, 30)];
  expect(overtaken([long, ...others])).toEqual([]);
  expect(overtaken([long, ...others, wait('third', 40, 50)])).toEqual([]);
  const thrice = [long, ...others, wait('other', 40, 50)];
  expect(overtaken(thrice)).toEqual(['other was served 3 times while patient waited 100 ms']);
  // Who is served before the question, or after the answer, overtakes nobody.
  expect(overtaken([wait('patient', 15, 45), ...thrice.slice(1)])).toEqual([]);
});
