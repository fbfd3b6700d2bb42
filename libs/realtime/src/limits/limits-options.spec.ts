import { checkLimitsOptions } from './check-limits-options.js';
import { connectionLimit, descriptorReserve, fileDescriptorLimit } from '../core/file-descriptors.js';
import { abuseLimit, historyLimit, resolveLimitsOptions } from './limits-options.js';

describe('when limits are left out', () => {
  it('has the documented defaults', () => {
    expect(resolveLimitsOptions({}, () => 20_000)).toEqual({
      messagesPerSecond: 100,
      burst: 200,
      joinsPerSecond: 100,
      joinBurst: 256,
      userShares: 20,
      newRoomsPerSecond: 200,
      maxPayloadBytes: 65_536,
      maxRooms: 128,
      namespacesPerTransport: 0,
      dynamicNamespaces: 1_000,
      maxSendBufferBytes: 1_048_576,
      maxSendBufferMessages: 16_384,
      transports: { hard: 18_976, soft: 0 },
      newTransportsPerSecond: 0,
      transportsPerUser: { max: 0, onFull: 'reject', whenUnavailable: 'allow', replaceDevice: false },
      transportsPerIp: 0,
      failedConnectsPerIp: { perSecond: 50, burst: 500 },
      silentTransportsPerIp: 1_000,
      abuse: { maxRefusals: 1_000, windowMs: 60_000 },
    });
  });

  it('takes undefined for absent, and lets the burst follow the rate', () => {
    const options = {
      messagesPerSecond: 500,
      burst: undefined,
      transports: undefined,
      abuse: { maxRefusals: undefined },
    };
    const resolved = resolveLimitsOptions(options, () => undefined);
    expect(resolved).toMatchObject({ burst: 1_000, transports: { hard: 0 }, abuse: { maxRefusals: 1_000 } });
    expect(checkLimitsOptions(options)).toEqual([]);
  });

  it('lets joins follow the rooms of a connection', () => {
    expect(resolveLimitsOptions({ maxRooms: 500, userShares: 5 })).toMatchObject({
      joinsPerSecond: 100,
      joinBurst: 1_000,
      newRoomsPerSecond: 50,
    });
    expect(resolveLimitsOptions({ maxRooms: 0 })).toMatchObject({ joinsPerSecond: 0, newRoomsPerSecond: 0 });
  });

  it('keeps half of the places from the silent transports of one address', () => {
    expect(resolveLimitsOptions({}, () => 1_024).silentTransportsPerIp).toBe(461);
    expect(resolveLimitsOptions({}, () => undefined).silentTransportsPerIp).toBe(1_000);
  });

  it('keeps a reserve of file descriptors', () => {
    expect([256, 1_024, 20_000, 1_000_000].map(descriptorReserve)).toEqual([64, 103, 1_024, 1_024]);
    // Room to refuse beyond the transports, and descriptors beyond both.
    expect([256, 1_024, 20_000].map(connectionLimit)).toEqual([224, 972, 19_488]);
    const limit = fileDescriptorLimit();
    expect(limit === undefined || limit > 0).toBe(true);
  });
});

describe('when limits are wrong', () => {
  it('lists every problem with the full name of its option', () => {
    const problems = checkLimitsOptions({
      messagesPerSecond: -1,
      burst: 0,
      maxPayloadBytes: '64kb',
      joinBurst: 0,
      userShares: 1.5,
      maxRooms: Number.NaN,
      transports: { hard: 1.5, soft: -1, firm: 3 },
      transportsPerUser: { max: 5, onFull: 'explode', replaceDevice: 'yes' },
      failedConnectsPerIp: { perSecond: -1, burst: 0 },
      abuse: 7,
      maxRoom: 3,
    });
    expect(problems).toEqual([
      'limits.messagesPerSecond must be a number >= 0, not -1',
      'limits.burst must be an integer >= 1, not 0',
      'limits.maxPayloadBytes must be an integer >= 1024, not "64kb"',
      'limits.joinBurst must be an integer >= 1, not 0',
      'limits.userShares must be an integer >= 0, not 1.5',
      'limits.maxRooms must be an integer >= 0, not NaN',
      'limits.transports.hard must be an integer >= 0, not 1.5',
      'limits.transports.soft must be an integer >= 0, not -1',
      'limits.transports.firm is not an option',
      "limits.transportsPerUser.onFull must be 'reject' or 'evict-oldest', not \"explode\"",
      'limits.transportsPerUser.replaceDevice must be true or false, not "yes"',
      'limits.failedConnectsPerIp.perSecond must be a number >= 0, not -1',
      'limits.failedConnectsPerIp.burst must be an integer >= 1, not 0',
      'limits.abuse must be an object, not 7',
      'limits.maxRoom is not an option',
    ]);
  });

  it('finds options that contradict each other', () => {
    expect(checkLimitsOptions({ transports: { hard: 10, soft: 20 }, maxSendBufferBytes: 1_024 })).toEqual([
      'limits.transports.soft (20) is above limits.transports.hard (10) and would never act',
      'limits.maxSendBufferBytes (1024) is below limits.maxPayloadBytes (65536): one echoed message would end the transport',
    ]);
  });

  it.each([null, 5, [], 'all'])('refuses %p', (options) => {
    expect(checkLimitsOptions(options)).toHaveLength(1);
  });
});

describe('when refused messages are counted', () => {
  it('lets a connection be refused that often in a window, and no limit at 0', () => {
    expect(abuseLimit({ maxRefusals: 600, windowMs: 60_000 })).toEqual({ perSecond: 10, burst: 600 });
    expect(abuseLimit({ maxRefusals: 0, windowMs: 60_000 }).perSecond).toBe(0);
  });

  it.each([
    [{}, { perSecond: 1_638_400, burst: 3_276_800 }],
    [{ messagesPerSecond: 10 }, { perSecond: 163_840, burst: 2_097_152 }],
    [{ messagesPerSecond: 0 }, { perSecond: 0, burst: 2_097_152 }],
  ])('answers history as messages may come (%j)', (options, rate) => {
    expect(historyLimit(resolveLimitsOptions(options, () => 20_000))).toEqual(rate);
  });
});
