import { presenceDevicesContract } from './presence-devices.contract.js';
import { presenceWorlds, type PresenceWorld } from './presence-engines.js';
import { presenceStoreContract } from './presence-store.contract.js';
import { EVERY_ENGINE } from '../support/redis-kinds.js';

const ran = new Set<string>();

describe.each(Object.entries(presenceWorlds))('the %s presence store', (name, create) => {
  let world: PresenceWorld;

  beforeAll(async () => {
    world = await create();
    ran.add(name);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  presenceStoreContract(() => world);
  presenceDevicesContract(() => world);
});

describe('the suite', () => {
  it('ran over every engine', () => {
    expect([...ran].sort()).toEqual([...EVERY_ENGINE].sort());
  });
});
