// `npm test [-- jest arguments]`: finds what the tests need, builds, runs Jest, and closes with one line of counts.
import { countsLine, runJest } from './jest-run.mjs';
import { setUp } from './test-set-up.mjs';

const { status, counts } = runJest(process.argv.slice(2), { env: setUp() });
if (counts) console.log(countsLine(counts));
process.exit(status);
