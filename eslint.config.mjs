import { existsSync } from 'node:fs';
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const typed = ['libs/**/*.ts', 'src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'];
const projects = ['test/tsconfig.json', 'test/apps/tsconfig.json'];
if (existsSync('bench/tsconfig.json')) projects.push('bench/tsconfig.json');

const INSTEAD = 'wait for a cause: an inbox, a fence on the same path, `eventually`; `lasting` for what must stay so';
const BOUND = 'no number at a call: the default only ends a hang, and a bound of the product is `promised(ms, source)`';

const noTimers = `No timers in specs: ${INSTEAD}.`;

/** The second argument of a call, if there is one, is a call of `promised`. */
const onlyPromised = (callee) =>
  `CallExpression[callee.${callee}][arguments.length>1]:not([arguments.1.callee.name=/^promised/])`;

const clockSyntax = [
  { selector: 'ImportExpression[source.value=/^(node:)?timers(\\u002F|$)/]', message: noTimers },
  {
    selector: 'MemberExpression[object.name=/^(globalThis|global)$/][property.name=/^set(Timeout|Interval)$/]',
    message: noTimers,
  },
  { selector: 'CallExpression[callee.name=/^(sleep|delay|pause)$/]', message: `No sleeping in specs: ${INSTEAD}.` },
  { selector: onlyPromised("name='eventually'"), message: `eventually: ${BOUND}.` },
];
const inboxSyntax = [{ selector: onlyPromised("property.name='next'"), message: `inbox.next: ${BOUND}.` }];

/** Tests are judged by causes, not by the clock. Helpers in test/support may use timers. */
const withoutClocks = {
  'no-restricted-globals': ['error', ...['setTimeout', 'setInterval'].map((name) => ({ name, message: noTimers }))],
  'no-restricted-imports': [
    'error',
    ...['node:timers', 'timers', 'node:timers/promises', 'timers/promises'].map((name) => ({
      name,
      message: noTimers,
    })),
  ],
};

export default tseslint.config(
  { ignores: ['**/dist/', '**/node_modules/', 'src/public/', 'test-artefacts/', 'coverage/'] },
  js.configs.recommended,
  {
    // Scripts run in Node as they are; TypeScript knows undefined names better than this rule does.
    files: ['**/*.mjs', '**/*.js', '**/*.cjs'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          'process',
          'console',
          'URL',
          'fetch',
          'performance',
          'setTimeout',
          'setInterval',
          'setImmediate',
          'clearTimeout',
        ]
          .concat(['clearInterval', 'Buffer', 'AbortController', 'AbortSignal', 'TextEncoder', 'structuredClone'])
          .map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    files: typed,
    extends: [tseslint.configs.recommendedTypeCheckedOnly, tseslint.configs.base],
    languageOptions: { parserOptions: { project: projects, tsconfigRootDir: import.meta.dirname } },
    rules: {
      'no-undef': 'off',
      'no-unused-vars': 'off',
      'no-redeclare': 'off',
      'no-dupe-class-members': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/ban-ts-comment': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      // A port's method may be async in one implementation and not in the other.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      // `void this.timers.delete(id)` in an arrow says that the result is not wanted.
      '@typescript-eslint/no-meaningless-void-operator': 'off',
    },
  },
  {
    files: ['**/*.spec.ts', 'test/**/*.ts'],
    rules: {
      // Tests look into answers whose shape is the thing under test.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.spec.ts'],
    ignores: ['test/support/**'],
    rules: { ...withoutClocks, 'no-restricted-syntax': ['error', ...clockSyntax] },
  },
  {
    // Beside the sources there are no inboxes, but other things with a `next` of two arguments.
    files: ['test/**/*.spec.ts'],
    ignores: ['test/support/**'],
    rules: { 'no-restricted-syntax': ['error', ...clockSyntax, ...inboxSyntax] },
  },
);
