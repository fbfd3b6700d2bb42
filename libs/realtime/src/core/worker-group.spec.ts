import { WORKER_GROUP_ENV, checkWorkerGroup, workerGroup } from './worker-group.js';

const group = { index: 1, workers: 2, isSticky: false };
const alone = { redis: undefined, transports: ['websocket'] };

describe('when several workers share a port', () => {
  it('asks for redis, by the name of the option', () => {
    expect(() => checkWorkerGroup(alone, group)).toThrow(/^RealtimeModule has invalid options:\n- redis: .*2 workers/);
  });

  it('asks for sticky sessions where clients may poll', () => {
    const polling = { redis: {}, transports: ['polling', 'websocket'] };
    expect(() => checkWorkerGroup(polling, group)).toThrow(/- transports: .*sticky: true/);
    expect(() => checkWorkerGroup(polling, { ...group, isSticky: true })).not.toThrow();
  });

  it('tells both at once', () => {
    expect(() => checkWorkerGroup({ redis: undefined, transports: ['polling'] }, group)).toThrow(
      /- redis: [^]*- transports: /,
    );
  });

  it('asks nothing of one worker, or of a process that is none', () => {
    expect(() => checkWorkerGroup(alone, { ...group, workers: 1 })).not.toThrow();
    expect(() => checkWorkerGroup(alone)).not.toThrow();
  });
});

describe('when a worker starts a process that is none', () => {
  it('does not take the inherited environment for its own', () => {
    process.env[WORKER_GROUP_ENV] = JSON.stringify(group);
    try {
      expect(workerGroup()).toBeUndefined();
    } finally {
      delete process.env[WORKER_GROUP_ENV];
    }
  });
});
