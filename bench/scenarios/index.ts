import type { Scenario } from '../scenario.js';
import { ack } from './ack.js';
import { compression } from './compression.js';
import { connect } from './connect.js';
import { fanout } from './fanout.js';
import { fanoutCpu } from './fanout-cpu.js';
import { idle } from './idle.js';
import { presenceChurn } from './presence-churn.js';
import { publish } from './publish.js';
import { reconnectStorm } from './reconnect-storm.js';
import { soak } from './soak.js';

/** A new one needs a file and a line here. */
export const SCENARIOS: readonly Scenario[] = [
  publish,
  reconnectStorm,
  fanout,
  fanoutCpu,
  compression,
  ack,
  connect,
  idle,
  presenceChurn,
  soak,
];
