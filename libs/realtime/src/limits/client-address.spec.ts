import type { IncomingMessage } from 'node:http';
import { addressKey, checkTrustProxy, clientAddress, type TrustProxy } from './client-address.js';

const request = (remoteAddress: string | undefined, forwardedFor?: string): IncomingMessage =>
  ({
    headers: forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor },
    socket: { remoteAddress },
  }) as unknown as IncomingMessage;

describe('when a request says who it is for', () => {
  it.each<{ trust: TrustProxy | undefined; peer: string; forwarded?: string; address: string; why: string }>([
    { trust: undefined, peer: '9.9.9.9', forwarded: '1.1.1.1', address: '9.9.9.9', why: 'nobody is trusted' },
    { trust: false, peer: '::ffff:9.9.9.9', address: '9.9.9.9', why: 'a mapped address is the IPv4 address' },
    { trust: 0, peer: '9.9.9.9', forwarded: '1.1.1.1', address: '9.9.9.9', why: 'no hop is trusted' },
    { trust: 'loopback', peer: '127.0.0.1', forwarded: '1.1.1.1', address: '1.1.1.1', why: 'the proxy is trusted' },
    {
      trust: 'loopback',
      peer: '9.9.9.9',
      forwarded: '1.1.1.1',
      address: '9.9.9.9',
      why: 'the peer is no proxy of ours',
    },
    {
      trust: 1,
      peer: '127.0.0.1',
      forwarded: '6.6.6.6, 1.1.1.1',
      address: '1.1.1.1',
      why: 'the client forged the first',
    },
    {
      trust: '10.0.0.0/8, loopback',
      peer: '127.0.0.1',
      forwarded: '6.6.6.6, 2.2.2.2, 10.1.2.3',
      address: '2.2.2.2',
      why: 'two proxies',
    },
    { trust: ['loopback'], peer: '127.0.0.1', forwarded: '<script>', address: '127.0.0.1', why: 'that is no address' },
    {
      trust: true,
      peer: '127.0.0.1',
      forwarded: 'x\u001b[2J, 5.5.5.5',
      address: '5.5.5.5',
      why: 'the last known address',
    },
    { trust: 1, peer: '127.0.0.1', forwarded: '1.1.1.1:4711', address: '1.1.1.1', why: 'some proxies append a port' },
    { trust: 1, peer: '::1', forwarded: '[2001:db8::1]:4711', address: '2001:db8::1', why: 'and brackets' },
  ])('says $address with trust $trust: $why', ({ trust, peer, forwarded, address }) => {
    expect(clientAddress(trust)(request(peer, forwarded))).toBe(address);
  });

  it('says unknown when the socket has already gone', () => {
    expect(clientAddress(1)(request(undefined, '1.1.1.1'))).toBe('unknown');
  });
});

describe('when limits count an address', () => {
  it.each([
    ['1.2.3.4', '1.2.3.4'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::6', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['unknown', 'unknown'],
  ])('takes %s as %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });
});

describe('when trustProxy is checked', () => {
  it.each([undefined, true, false, 0, 2, 'loopback', 'loopback, 10.0.0.0/8', ['::1', 'uniquelocal'], []])(
    'accepts %p',
    (option) => {
      expect(checkTrustProxy(option)).toEqual([]);
    },
  );

  it.each([-1, 1.5, 'everybody', ['loopback', '300.1.1.1'], [1], {}, null])(
    'refuses %p and names the option',
    (option) => {
      const problems = checkTrustProxy(option);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toContain('trustProxy');
    },
  );
});
