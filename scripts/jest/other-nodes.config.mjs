import config from '../../jest.config.mjs';

/** The whole suite but what is about the machine and the browser more than about Node. */
const LEFT_OUT = ['<rootDir>/test/chaos/', '<rootDir>/test/browser/'];

// Not `--testPathIgnorePatterns`: on the command line it replaces the patterns that a project has of its own.
const withoutLeftOut = (project) => ({
  ...project,
  testPathIgnorePatterns: [...(project.testPathIgnorePatterns ?? ['/node_modules/']), ...LEFT_OUT],
});

export default { ...config, rootDir: config.projects[0].rootDir, projects: config.projects.map(withoutLeftOut) };
