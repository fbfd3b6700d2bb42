import {
  ClusterRequests,
  ManualClock,
  MemoryBus,
  MemoryHub,
  REQUESTS_CHANNEL,
  answersChannel,
  type Incarnation,
  type NodeId,
} from '../support/engines.js';
import { Inbox } from '../support/inbox.js';

const clock = () => new ManualClock();

function cluster(names: string[], time = clock()) {
  const hub = new MemoryHub();
  const records = names.map((name) => ({ nodeId: name as NodeId, incarnation: `${name}1` as Incarnation }));
  const errors: unknown[] = [];
  const nodes = records.map(({ nodeId }) => {
    const bus = new MemoryBus(hub);
    const requests = new ClusterRequests({
      bus,
      clock: time,
      nodeId,
      nodes: { alive: () => Promise.resolve(records), known: records },
      onError: (error) => void errors.push(error),
    });
    requests.handle('echo', (payload) => ({ from: nodeId, payload }));
    return { bus, requests };
  });
  // Attached last: what it hears has reached the others before.
  const witness = new MemoryBus(hub);
  const answers = new Inbox();
  const ready = async (): Promise<void> => {
    await Promise.all(nodes.map(({ requests }) => requests.ready()));
    for (const { nodeId } of records)
      await witness.subscribe(answersChannel(nodeId), (payload) => answers.push(payload));
  };
  /** The node's answer has reached the node that asked. */
  const answered = (nodeId: string) => answers.next(({ event }) => event.includes(`"nodeId":"${nodeId}"`));
  return { nodes, errors, time, ready, answered };
}

describe('when a node asks the cluster', () => {
  it('gets the answers of all nodes, its own too, without waiting for the deadline', async () => {
    const { nodes, ready, time } = cluster(['a', 'b', 'c']);
    await ready();
    const { answers, missing } = await nodes[0]!.requests.request('echo', { n: 1 });
    expect(answers.map(({ nodeId }) => nodeId).sort()).toEqual(['a', 'b', 'c']);
    expect(answers.every(({ nodeId, value }) => (value as { from: string }).from === nodeId)).toBe(true);
    expect(missing).toEqual([]);
    expect(time.now()).toBe(0);
    expect(time.pending).toBe(0);
  });

  it('names a dead node after the deadline', async () => {
    const { nodes, ready, time, answered } = cluster(['a', 'b', 'c']);
    await ready();
    nodes[2]!.bus.setState('down');
    let isOver = false;
    const asked = nodes[0]!.requests.request('echo', 1).finally(() => (isOver = true));
    await answered('b');
    await time.advanceAsync(999);
    expect(isOver).toBe(false);
    await time.advanceAsync(1);
    const { answers, missing } = await asked;
    expect(answers.map(({ nodeId }) => nodeId).sort()).toEqual(['a', 'b']);
    expect(missing).toEqual(['c']);
  });

  it('counts a node whose handler fails, or that knows no such question, as missing at once', async () => {
    const { nodes, ready, time, errors } = cluster(['a', 'b', 'c']);
    await ready();
    nodes[0]!.requests.handle('count', () => Promise.resolve(1));
    nodes[1]!.requests.handle('count', () => Promise.reject(new Error('no')));
    const { answers, missing } = await nodes[0]!.requests.request('count', undefined);
    expect(answers).toEqual([{ nodeId: 'a', value: 1 }]);
    expect([...missing].sort()).toEqual(['b', 'c']);
    expect(time.now()).toBe(0);
    expect(errors).toHaveLength(1);
  });

  it('answers for itself at once when the bus is down', async () => {
    const { nodes, ready, time } = cluster(['a', 'b']);
    await ready();
    nodes[0]!.bus.setState('down');
    const { answers, missing } = await nodes[0]!.requests.request('echo', 1);
    expect(answers.map(({ nodeId }) => nodeId)).toEqual(['a']);
    expect(missing).toEqual(['b']);
    expect(time.pending).toBe(0);
  });

  it('ends when it is closed meanwhile', async () => {
    const { nodes, ready } = cluster(['a', 'b']);
    await ready();
    nodes[1]!.bus.setState('down');
    const asked = nodes[0]!.requests.request('echo', 1);
    await nodes[0]!.requests.close();
    await expect(asked).resolves.toMatchObject({ missing: expect.anything() });
  });

  it('ignores strangers on its channels', async () => {
    const { nodes, ready, errors } = cluster(['a', 'b']);
    await ready();
    for (const text of ['', '{', 'null', '{"id":1}', '[]']) {
      await nodes[1]!.bus.publish(REQUESTS_CHANNEL, text);
      await nodes[1]!.bus.publish(answersChannel('a'), text);
    }
    await expect(nodes[0]!.requests.request('echo', 1)).resolves.toMatchObject({ missing: [] });
    expect(errors).toHaveLength(10);
  });
});
