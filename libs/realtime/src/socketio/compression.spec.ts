import {
  Compression,
  checkCompression,
  resolveCompression,
  type CompressionOptions,
  type Extension,
} from './compression.js';

describe('when compression is configured', () => {
  it('is off by default', () => {
    for (const compression of [undefined, false] as const) {
      expect(checkCompression({ compression })).toEqual([]);
      expect(resolveCompression(compression)).toBeUndefined();
    }
  });

  it('fills in what is not given', () => {
    expect(resolveCompression({})).toEqual({ minBytes: 1_024, maxBytes: 262_144, level: 1 });
    expect(resolveCompression({ minBytes: 0, level: undefined })).toEqual({ minBytes: 0, maxBytes: 262_144, level: 1 });
  });

  it.each<[unknown, string[]]>([
    [{ minBytes: 0, maxBytes: 1, level: 9 }, []],
    [true, ['compression: must be false or an object']],
    [{ minBytes: -1 }, ['compression.minBytes: must be a whole number of at least 0']],
    [{ maxBytes: 0 }, ['compression.maxBytes: must be a whole number of at least 1']],
    [{ minBytes: 10, maxBytes: 9 }, ['compression.maxBytes: must not be below compression.minBytes']],
    [{ level: 0 }, ['compression.level: must be a whole number from 1 to 9']],
    [{ level: 10 }, ['compression.level: must be a whole number from 1 to 9']],
    [{ threshold: 1 }, ['compression.threshold: is not an option']],
  ])('judges %j', (compression, problems) => {
    expect(checkCompression({ compression: compression as CompressionOptions })).toEqual(problems);
  });

  it("refuses what does not go with it: writes one by one, and Socket.IO's own compression", () => {
    expect(checkCompression({ compression: {}, coalesceWrites: false, socketio: { perMessageDeflate: {} } })).toEqual([
      'compression: needs coalesceWrites, which is false',
      'socketio.perMessageDeflate: belongs to compression, set it there',
    ]);
    expect(checkCompression({ compression: {}, socketio: { perMessageDeflate: false } })).toEqual([]);
    expect(checkCompression({ compression: false, socketio: { perMessageDeflate: true } })).toEqual([]);
  });
});

describe('when a client has agreed on compression', () => {
  const extension = (bits?: number): Extension => ({
    params: bits === undefined ? {} : { server_max_window_bits: bits },
    decompress: () => undefined,
    cleanup: () => undefined,
  });

  it('shares a deflater with all whose window is the same, and has none for the smallest', () => {
    const compression = new Compression({ minBytes: 0, maxBytes: 1, level: 1 });
    const deflater = compression.adopt(extension());
    expect(compression.adopt(extension(15))).toBe(deflater);
    expect(compression.adopt(extension(9))).not.toBe(deflater);
    expect(compression.adopt(extension(9))).toBe(compression.adopt(extension(9)));
    expect(compression.adopt(extension(8))).toBeUndefined();
  });
});
