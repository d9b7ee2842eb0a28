import { describe, expect, it } from 'vitest';
import { FORSAKEN_MS, Strangers } from '../../../daemon/front/strangers.ts';
import { SHIM_PROTOCOL } from '../../../src/protocol/shim.ts';

const own = 'pid:1 mnt:2 root:3:4';
const sandbox = 'pid:1 mnt:9 root:3:4';
const container = 'pid:8 mnt:9 root:3:7';

function strangers(): {
  ask: (view: string, idle?: boolean) => unknown;
  pass: () => void;
  left: () => number;
} {
  let now = 0;
  let left = 0;
  const of = new Strangers(
    () => {
      left += 1;
    },
    own,
    () => now,
  );
  return {
    ask: (view, idle = true) => of.of({ protocol: SHIM_PROTOCOL, view }, idle),
    pass: () => {
      now += FORSAKEN_MS + 1;
    },
    left: () => left,
  };
}

describe('callers from elsewhere', () => {
  it('are none where the view is the own', () => {
    expect(strangers().ask(own)).toBeUndefined();
  });

  it('are known by their processes where these are the same', () => {
    expect(strangers().ask(sandbox)).toMatchObject({ unknown: false });
    expect(strangers().ask(container)).toMatchObject({ unknown: true });
    expect(strangers().ask('')).toMatchObject({ unknown: true });
  });

  it('end a daemon that nobody at its own place asks any more', () => {
    const { ask, pass, left } = strangers();
    ask(sandbox);
    expect(left()).toBe(0);
    pass();
    ask(sandbox);
    expect(left()).toBe(1);
  });

  it('do not end one that is asked at its own place, or has work', () => {
    const { ask, pass, left } = strangers();
    pass();
    ask(own);
    ask(sandbox);
    pass();
    ask(sandbox, false);
    expect(left()).toBe(0);
  });
});
