// The floors: imports only run downward, type imports too.
const floor = (name, from, allowed) => ({
  name,
  severity: 'error',
  comment: `${from} may import ${allowed.join(', ') || 'nothing of ours'}`,
  from: { path: `^${from}` },
  to: {
    path: '^(src|daemon|scripts|test)/',
    pathNot: [`^${from}`, ...allowed.map((path) => `^${path}`)],
  },
});

const shared = ['src/base/', 'src/protocol/', 'src/config/', 'src/tree/', 'src/facts/'];
const deciding = ['daemon/classify/', 'daemon/select/', 'daemon/lifecycle/'];
const acting = [
  'daemon/transport/',
  'daemon/sync/',
  'daemon/exec/',
  'daemon/artifacts/',
  'daemon/journal/',
];

module.exports = {
  forbidden: [
    floor('base', 'src/base/', []),
    floor('protocol', 'src/protocol/', ['src/base/', 'src/tree/manifest.ts']),
    floor('config', 'src/config/', ['src/base/', 'src/protocol/']),
    floor('tree', 'src/tree/', ['src/base/', 'src/protocol/', 'src/config/']),
    floor('facts', 'src/facts/', ['src/base/', 'src/protocol/', 'src/config/', 'src/tree/']),
    floor('client', 'src/client/', shared),
    floor('cli', 'src/cli/', [...shared, 'src/client/']),
    floor('page', 'src/page/', ['src/base/', 'src/protocol/', 'src/cli/render/text.ts']),
    floor('agent', 'src/agent/', [...shared, 'src/client/']),
    ...deciding.map((from) =>
      floor(from.slice(7, -1), from, [...shared, ...deciding.filter((other) => other !== from)]),
    ),
    ...acting.map((from) =>
      floor(from.slice(7, -1), from, [
        ...shared,
        ...deciding,
        ...acting.filter((other) => other !== from),
      ]),
    ),
    floor('plan', 'daemon/plan/', [...shared, ...deciding, ...acting]),
    floor('link', 'daemon/link/', [...shared, ...deciding, ...acting, 'daemon/plan/']),
    floor('dashboard', 'daemon/dashboard/', [...shared, 'src/client/']),
    floor('front', 'daemon/front/', [
      ...shared,
      'src/client/',
      ...deciding,
      ...acting,
      'daemon/plan/',
    ]),
    {
      name: 'no-circle',
      severity: 'error',
      comment: 'a circle of imports has no floor',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-tests-in-programs',
      severity: 'error',
      from: { path: '^(src|daemon)/' },
      to: { path: '^(test|scripts)/' },
    },
    {
      name: 'no-development-packages',
      severity: 'error',
      comment: 'what is shipped uses dependencies alone',
      from: { path: '^(src|daemon)/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'] },
  },
};
