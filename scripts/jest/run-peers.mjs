// Runs in the copy that `npm run test:peers` makes: node scripts/jest/run-peers.mjs <file for the counts> [jest arguments]
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runJest } from '../jest-run.mjs';

const [report, ...args] = process.argv.slice(2);
const config = join(import.meta.dirname, 'peers.config.mjs');
const { counts } = runJest(['--config', config, ...args], { env: process.env });
if (counts) writeFileSync(report, JSON.stringify(counts));
