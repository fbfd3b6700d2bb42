// The layer table of docs/architecture.md, as rules. `npm run layers` runs them with a floor of modules.
import { join } from 'node:path';

const SERVER = 'libs/realtime/src';

/** What each folder of the server library may import besides itself. */
const PORTS = ['core', 'limits', 'presence', 'history', 'cluster', 'requests'];
export const LAYERS = {
  core: [],
  auth: ['core'],
  limits: ['core'],
  presence: ['core'],
  history: ['core'],
  cluster: ['core'],
  requests: ['core'],
  rooms: ['core', 'presence', 'history', 'cluster', 'requests'],
  connection: ['core', 'auth', 'limits', 'presence', 'history', 'cluster', 'requests', 'rooms'],
  socketio: ['core', 'requests', 'connection'],
  memory: PORTS,
  redis: PORTS,
  emitter: ['core', 'cluster', 'history', 'rooms', 'redis'],
  processes: ['core'],
  metrics: PORTS,
  health: PORTS,
  testing: PORTS,
};

/** Third-party packages and the only folders that may import them. */
const OWNERS = [
  {
    packages: ['redis', '@redis/.+', '@socket\\.io/redis-adapter'],
    folders: ['redis'],
  },
  {
    packages: ['socket\\.io', 'socket\\.io-parser', 'socket\\.io-adapter', 'engine\\.io', 'ws'],
    folders: ['socketio'],
  },
  { packages: ['@nestjs/platform-socket\\.io'], folders: ['socketio'] },
  {
    packages: ['@nestjs/websockets'],
    folders: ['socketio', 'limits/throttler'],
  },
  { packages: ['prom-client'], folders: ['metrics'] },
  { packages: ['@nestjs/terminus'], folders: ['health'] },
  {
    packages: ['@nestjs/jwt', 'jwks-rsa', 'jsonwebtoken', 'jose'],
    folders: ['auth'],
  },
  { packages: ['@nestjs/throttler'], folders: ['limits/throttler'] },
  { packages: ['proxy-addr'], folders: ['limits'] },
  { packages: ['@socket\\.io/sticky'], folders: ['processes'] },
];

const SPEC = '\\.spec\\.ts$';
/** The contract suites run over the stores and buses of both engines, which are no public API: one door for them. */
const CONTRACT_DOOR = '^test/support/engines\\.ts$';
const ENTRIES = `^libs/realtime/src/(index|(limits/throttler|emitter|health|metrics|processes|testing)/index)\\.ts$|^libs/realtime-(client|protocol)/src/index\\.ts$`;
const folderPattern = (folders) => `^${SERVER}/(${folders.join('|')})/`;

const layerRules = Object.entries(LAYERS).map(([folder, allowed]) => ({
  name: `layer-${folder}`,
  comment: `${folder}/ may import ${allowed.length === 0 ? 'nothing of ours' : allowed.join(', ')}`,
  severity: 'error',
  from: { path: `^${SERVER}/${folder}/`, pathNot: SPEC },
  to: { path: `^${SERVER}/`, pathNot: folderPattern([folder, ...allowed]) },
}));

const ownerRules = OWNERS.map(({ packages, folders }) => ({
  name: `only-in-${folders[0].replace('/', '-')}:${packages[0].replaceAll('\\', '')}`,
  comment: `${packages.join(', ')} may be imported in ${folders.join(', ')} only`,
  severity: 'error',
  from: { path: `^${SERVER}/`, pathNot: [SPEC, folderPattern(folders)] },
  to: { path: `(^|/)node_modules/(@types/)?(${packages.join('|')})/` },
}));

const packageRules = [
  {
    name: 'protocol-imports-nothing',
    comment: 'The wire has no dependency and no I/O',
    severity: 'error',
    from: { path: '^libs/realtime-protocol/src/', pathNot: SPEC },
    to: { pathNot: '^libs/realtime-protocol/src/' },
  },
  {
    name: 'client-is-framework-free',
    comment: 'The client imports the wire and socket.io-client, and no Node built-in',
    severity: 'error',
    from: { path: '^libs/realtime-client/src/', pathNot: SPEC },
    to: {
      pathNot: [
        '^libs/realtime-client/src/',
        '^libs/realtime-protocol/src/index\\.ts$',
        '(^|/)node_modules/socket\\.io-client/',
      ],
    },
  },
  {
    name: 'server-never-imports-client',
    comment: 'The server and the client libraries never import each other, nor the apps',
    severity: 'error',
    from: { path: `^${SERVER}/`, pathNot: SPEC },
    to: { path: '^(libs/realtime-client|src|test|bench)/' },
  },
  {
    name: 'packages-by-their-entry',
    comment: 'Across packages: the entry of the other, never a file in its folders',
    severity: 'error',
    from: { path: '^libs/([^/]+)/src/' },
    to: { path: '^libs/[^/]+/src/', pathNot: ['^libs/$1/src/', ENTRIES] },
  },
  {
    name: 'apps-use-entries',
    comment: 'Apps, tests and benches import package entries, never libs/x/src/...',
    severity: 'error',
    from: { path: '^(src|test|bench)/', pathNot: CONTRACT_DOOR },
    to: { path: '^libs/[^/]+/(src|dist)/', pathNot: ENTRIES },
  },
  {
    name: 'apps-use-entry-names',
    comment: 'Apps, tests and benches import packages by their names, not by a relative path',
    severity: 'error',
    from: { path: '^(src|test|bench)/', pathNot: CONTRACT_DOOR },
    to: {
      path: '^libs/',
      dependencyTypes: ['local'],
      dependencyTypesNot: ['aliased'],
    },
  },
];

const generalRules = [
  {
    name: 'the-primary-loads-no-app',
    comment: 'RealtimeCluster runs in a process that serves nobody: what Nest and Redis need belongs to its workers',
    severity: 'error',
    from: { path: `^${SERVER}/(processes|core/(worker-group|socket-servers|clock|logger))`, pathNot: SPEC },
    to: { path: '(^|/)node_modules/', pathNot: '(^|/)node_modules/(@socket\\.io/sticky|@types/node)/' },
  },
  {
    name: 'no-cycle',
    comment: 'No cycles, not through types either',
    severity: 'error',
    from: {},
    to: { circular: true },
  },
  {
    name: 'nobody-imports-the-barrel',
    comment: "A package's own files never go through its entry",
    severity: 'error',
    from: { path: '^libs/([^/]+)/src/', pathNot: SPEC },
    to: {
      path: '^libs/$1/src/(index|[^/]+/index|limits/throttler/index)\\.ts$',
    },
  },
  {
    name: 'features-never-import-the-root',
    comment: 'The composition root knows everything; nothing knows the composition root',
    severity: 'error',
    from: { path: `^${SERVER}/[^/]+/`, pathNot: SPEC },
    to: { path: `^${SERVER}/[^/]+\\.ts$` },
  },
  {
    name: 'main-entry-stays-light',
    comment: 'Health, metrics, throttling and testing have entries of their own, because their peers are optional',
    severity: 'error',
    from: { path: `^${SERVER}/[^/]+\\.ts$`, pathNot: SPEC },
    to: {
      path: folderPattern(['emitter', 'health', 'metrics', 'processes', 'testing', 'limits/throttler']),
    },
  },
  {
    name: 'only-the-throttler-entry-imports-the-guard',
    comment: '@nestjs/throttler is an optional peer',
    severity: 'error',
    from: {
      path: `^${SERVER}/`,
      pathNot: [SPEC, `^${SERVER}/limits/throttler/`],
    },
    to: { path: `^${SERVER}/limits/throttler/` },
  },
  {
    name: 'no-unresolvable',
    comment: 'An import that does not resolve hides what is behind it from every other rule',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: 'no-orphan',
    comment: 'A file that nobody imports and that imports nobody is either dead or an entry to be listed here',
    severity: 'error',
    from: {
      orphan: true,
      path: '^(libs/[^/]+/src|src|test)/',
      pathNot: [SPEC, ENTRIES, '^test/apps/', '^src/public/', '\\.d\\.ts$'],
    },
    to: {},
  },
];

/** Each package's name means its sources: the rules see through package borders and never read a stale build. */
const library = join(import.meta.dirname, 'libs');
export const ALIASES = {
  'nestjs-realtime-protocol$': join(library, 'realtime-protocol/src/index.ts'),
  'nestjs-realtime-client$': join(library, 'realtime-client/src/index.ts'),
  'nestjs-realtime$': join(library, 'realtime/src/index.ts'),
  'nestjs-realtime/throttler$': join(library, 'realtime/src/limits/throttler/index.ts'),
  'nestjs-realtime/cluster$': join(library, 'realtime/src/processes/index.ts'),
  'nestjs-realtime/emitter$': join(library, 'realtime/src/emitter/index.ts'),
  'nestjs-realtime/health$': join(library, 'realtime/src/health/index.ts'),
  'nestjs-realtime/metrics$': join(library, 'realtime/src/metrics/index.ts'),
  'nestjs-realtime/testing$': join(library, 'realtime/src/testing/index.ts'),
};

export default {
  forbidden: [...layerRules, ...ownerRules, ...packageRules, ...generalRules],
  options: {
    doNotFollow: { path: '(^|/)node_modules/' },
    exclude: { path: '^dist/|^libs/[^/]+/dist/|^test/nest11/node_modules/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'test/tsconfig.json' },
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.cjs', '.json', '.node'],
    },
  },
};
