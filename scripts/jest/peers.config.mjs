import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import config from '../../jest.config.mjs';

const project = config.projects.find(({ displayName }) => displayName === 'nest12');
const core = join(project.rootDir, 'node_modules/@nestjs/core/package.json');
const { version } = JSON.parse(readFileSync(core, 'utf8'));

/** For `npm run test:peers`: one project, with the packages as they are installed here. */
export default {
  testTimeout: config.testTimeout,
  rootDir: project.rootDir,
  // Without the one that wants two Nests.
  reporters: config.reporters.filter((name) => !name.includes('/contract/nest/')),
  projects: [
    {
      ...project,
      displayName: 'peers',
      testMatch: ['<rootDir>/test/{e2e,contract}/**/*.spec.ts'],
      globals: { NEST_MAJOR: Number.parseInt(version, 10) },
    },
  ],
};
