import * as websockets from '@nestjs/websockets';

const { Ack: found } = websockets as Partial<typeof websockets>;

/** Nest has `@Ack()` from 11.1.7 on, and the library supports 11.0: what needs it is skipped there. */
export const hasAck = found !== undefined;
export const Ack: typeof websockets.Ack = found ?? (() => () => undefined);
export const itWithAck = hasAck ? it : it.skip;
