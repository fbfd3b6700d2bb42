const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    {
      jsc: {
        target: 'es2022',
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true },
        keepClassNames: true,
      },
      module: { type: 'es6' },
      sourceMaps: 'inline',
    },
  ],
};

const workspaces = {
  '^nestjs-realtime-protocol$': '<rootDir>/libs/realtime-protocol/src/index.ts',
  '^nestjs-realtime-client$': '<rootDir>/libs/realtime-client/src/index.ts',
  '^nestjs-realtime$': '<rootDir>/libs/realtime/src/index.ts',
  '^nestjs-realtime/throttler$': '<rootDir>/libs/realtime/src/limits/throttler/index.ts',
  '^nestjs-realtime/cluster$': '<rootDir>/libs/realtime/src/processes/index.ts',
  '^nestjs-realtime/(emitter|health|metrics|testing)$': '<rootDir>/libs/realtime/src/$1/index.ts',
  '^@nestjs/throttler$': '<rootDir>/scripts/jest/throttler-as-esm.mjs',
  '^(\\.{1,2}/.*)\\.js$': '$1',
};

const common = {
  rootDir: import.meta.dirname,
  testEnvironment: '<rootDir>/scripts/jest/environment.mjs',
  extensionsToTreatAsEsm: ['.ts'],
  transform,
  setupFiles: ['reflect-metadata'],
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/libs/[^/]+/dist'],
};

/** After each test: nothing that somebody received, and nothing in Redis, was another's secret. */
const WATCHED = { setupFilesAfterEnv: ['<rootDir>/test/support/leaks/watch.setup.ts'] };

/** What needs real seconds: kills, leases, hidden tabs, storms. One file at a time, after all the others. */
const SERIAL = ['test/chaos/**/*.spec.ts', 'test/**/*.serial.spec.ts'];

export default {
  // Ends what hangs; helpers that wait give up earlier (60 s) and say what they waited for.
  testTimeout: 180_000,
  reporters: ['default', '<rootDir>/test/contract/nest/reporter.mjs', '<rootDir>/scripts/jest/lag-reporter.mjs'],
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/libs/*/src/**/*.spec.ts', '<rootDir>/src/**/*.spec.ts', '<rootDir>/scripts/**/*.spec.ts'],
      moduleNameMapper: workspaces,
    },
    {
      ...common,
      ...WATCHED,
      displayName: 'nest12',
      testMatch: ['<rootDir>/test/**/*.spec.ts'],
      // Not by negated globs: Jest knows <rootDir> only at the start of one.
      testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/chaos/', '\\.serial\\.spec\\.ts$'],
      globals: { NEST_MAJOR: 12 },
      moduleNameMapper: workspaces,
    },
    {
      ...common,
      ...WATCHED,
      displayName: 'nest11',
      testMatch: [
        '<rootDir>/test/contract/nest/**/*.spec.ts',
        '<rootDir>/test/e2e/{thin-path,answers,direct-handlers,results,throttling,recovery}.spec.ts',
        '<rootDir>/test/e2e/dynamic-namespaces/*.spec.ts',
      ],
      globals: { NEST_MAJOR: 11 },
      moduleNameMapper: {
        '^@nestjs/(core|common|websockets|platform-socket.io|platform-express|testing|jwt|terminus)(/.*)?$':
          '<rootDir>/test/nest11/node_modules/@nestjs/$1$2',
        ...workspaces,
      },
    },
    {
      ...common,
      displayName: 'serial',
      runner: '<rootDir>/scripts/jest/serial-runner.mjs',
      testMatch: SERIAL.map((pattern) => `<rootDir>/${pattern}`),
      globals: { NEST_MAJOR: 12, IS_SERIAL: true },
      moduleNameMapper: workspaces,
    },
  ],
};
