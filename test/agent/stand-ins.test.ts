import { expect, test } from 'vitest';
import { standIns } from '../../src/agent/stand-ins.ts';

const user = { name: 'ada', uid: 1815, gid: 1815, group: 'adas', home: '/home/ada' };
const utc = Buffer.from('TZif2 and more\nUTC0\n');
const india = Buffer.from('TZif2 and more\nIST-5:30\n');

/** What stands in where the caller's machine is `machine` and the worker has `files`. */
function made(
  machine: { host?: string; zone?: Buffer },
  files: Readonly<Record<string, string | Buffer>>,
): Record<string, string> {
  const { host = '', zone = Buffer.alloc(0) } = machine;
  const list = standIns({ user, machine: { host, zone: zone.toString('base64') } }, (path) => {
    const content = files[path];
    return content === undefined ? undefined : Buffer.from(content);
  });
  return Object.fromEntries(list.map(({ path, content }) => [path, content.toString()]));
}

test('the caller is who it is at home, beside the other users of the worker', () => {
  const passwd = 'root:x:0:0::/root:/bin/sh\nbob:x:1815:9::/home/bob:/bin/sh\n';
  expect(made({}, { '/etc/passwd': passwd })).toEqual({
    '/etc/passwd': 'ada:x:1815:1815::/home/ada:/bin/sh\nroot:x:0:0::/root:/bin/sh\n',
    '/etc/group': 'adas:x:1815:\n',
  });
});

test('the name of the machine at home is found in hosts, once, and none that could break its lines', () => {
  const hosts = '127.0.0.1 localhost # engine\n10.0.0.9 other engine2';
  expect(made({ host: 'engine' }, { '/etc/hosts': hosts })['/etc/hosts']).toBe(
    `${hosts}\n127.0.1.1\tengine\n`,
  );
  expect(made({ host: 'engine2' }, { '/etc/hosts': hosts })['/etc/hosts']).toBe(hosts);
  expect(made({ host: 'a b\n' }, { '/etc/hosts': hosts })['/etc/hosts']).toBeUndefined();
});

test('the time zone is that at home where the worker has another', () => {
  const zone = (home: Buffer, worker?: Buffer): string | undefined =>
    made({ zone: home }, worker === undefined ? {} : { '/etc/localtime': worker })[
      '/etc/localtime'
    ];
  expect(zone(india, utc)).toBe(india.toString());
  expect(zone(utc, india)).toBe(utc.toString());
  expect(zone(india)).toBe(india.toString());
  expect(zone(india, india)).toBeUndefined();
  expect(zone(utc)).toBeUndefined();
  expect(zone(Buffer.alloc(0), india)).toBeUndefined();
});
