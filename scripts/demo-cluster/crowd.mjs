// Simulated users on every node and one observer beside them: what was sent, what arrived where, who was announced as gone.

/** After everybody is announced, what is still on its way may arrive. */
const SETTLE_MS = 2_000;

/** The script's own eyes are no users. */
const BYSTANDER = /^(observer|newcomer)-/;

export class Crowd {
  users = [];
  observers = [];
  #sent = new Map();
  #acknowledged = 0;
  #timer;
  #count = 0;

  constructor(connect, room) {
    this.connect = connect;
    this.room = room;
  }

  async enter(nodes, usersPerNode) {
    this.nodes = nodes;
    for (const node of nodes) this.observers.push(await this.#observer(node));
    for (const node of nodes) {
      for (let n = 1; n <= usersPerNode; n += 1) {
        const id = `${node.name}-user-${n}`;
        this.users.push({ id, node, ...(await this.connect(node.url, id, this.room)) });
      }
    }
  }

  async #observer(node) {
    const id = `observer-${node.name}`;
    const observer = {
      id,
      node,
      left: new Map(),
      received: new Map(),
      ...(await this.connect(node.url, id, this.room)),
    };
    observer.onMessage((text) => observer.received.set(text, (observer.received.get(text) ?? 0) + 1));
    observer.onPresence(({ left }) => {
      for (const user of left) observer.left.set(user, [...(observer.left.get(user) ?? []), performance.now()]);
    });
    return observer;
  }

  /** The users take turns. A message counts as taken once the server acknowledged it. */
  chat(perSecond) {
    this.#timer = setInterval(() => {
      const user = this.users[this.#count++ % this.users.length];
      const text = `Hello ${this.#count}`;
      const entry = { status: 'sent' };
      this.#sent.set(text, entry);
      user.send(text).then(
        () => {
          entry.status = 'taken';
          this.#acknowledged += 1;
        },
        (error) => (entry.status = error.code ?? 'failed'),
      );
    }, 1_000 / perSecond);
  }

  async acknowledged(count) {
    await until(() => this.#acknowledged >= count && this.#count >= 100, 60_000);
  }

  /** Watches what the survivors hear about the users of a node that was killed a moment ago. */
  async observe(node, withinMs) {
    const killedAt = performance.now();
    node.isGone = true;
    const gone = this.users.filter((user) => user.node === node).map(({ id }) => id);
    const survivors = this.observers.filter((observer) => !observer.node.isGone);
    const heardAll = () => survivors.every((observer) => gone.every((id) => observer.left.has(id)));
    await until(heardAll, withinMs).catch(() => undefined);
    const counted = await this.#settle(node);
    const newcomers = await this.#newcomers(survivors);
    const report = {
      node,
      gone,
      killedAt,
      survivors: survivors.map((o) => this.#seenBy(o, gone, killedAt)),
      newcomers,
      messages: tally(counted, survivors),
    };
    this.#forget(counted);
    return report;
  }

  /** Until now the users of the dead node went on talking, as people do: it matters what they were told. */
  async #settle(node) {
    for (const user of this.users) if (user.node === node) user.close();
    this.users = this.users.filter((user) => user.node !== node);
    const counted = [...this.#sent];
    this.#sent.clear();
    await until(() => counted.every(([, { status }]) => status !== 'sent'), SETTLE_MS).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    return counted;
  }

  #seenBy(observer, gone, killedAt) {
    const times = gone
      .flatMap((id) => observer.left.get(id)?.slice(0, 1) ?? [])
      .map((time) => (time - killedAt) / 1_000);
    const others = [...observer.left]
      .filter(([id, at]) => !gone.includes(id) && !BYSTANDER.test(id) && at.some((time) => time > killedAt))
      .map(([id]) => id);
    return {
      name: observer.node.name,
      announced: times,
      twice: gone.filter((id) => (observer.left.get(id)?.length ?? 0) > 1),
      ghosts: gone.filter((id) => observer.here().includes(id)),
      others,
    };
  }

  /** Somebody who arrives after the crash: does the list that they get tell the truth? */
  async #newcomers(survivors) {
    const present = [...this.users, ...survivors].map(({ id }) => id);
    return Promise.all(
      survivors.map(async ({ node }) => {
        const newcomer = await this.connect(node.url, `newcomer-${node.name}-${this.#count}`, this.room);
        const here = newcomer.here();
        newcomer.close();
        return { name: node.name, seen: present.filter((id) => here.includes(id)).length, of: present.length };
      }),
    );
  }

  #forget(counted) {
    for (const { left, received } of this.observers) {
      left.clear();
      for (const [text] of counted) received.delete(text);
    }
  }

  leave() {
    clearInterval(this.#timer);
    for (const member of [...this.users, ...this.observers]) member.close();
  }
}

function tally(all, survivors) {
  const isTold = ({ status }) => status !== 'taken' && status !== 'sent';
  const missing = all.filter(([text]) => survivors.some(({ received }) => !received.has(text)));
  const doubled = all.filter(([text]) => survivors.some(({ received }) => (received.get(text) ?? 0) > 1));
  return {
    sent: all.length,
    received: all.length - missing.length,
    told: missing.filter(([, entry]) => isTold(entry)).length,
    lost: missing.filter(([, entry]) => !isTold(entry)).length,
    doubled: doubled.length,
  };
}

async function until(isTrue, withinMs) {
  const endsAt = performance.now() + withinMs;
  while (!isTrue()) {
    if (performance.now() > endsAt) throw new Error('it did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
