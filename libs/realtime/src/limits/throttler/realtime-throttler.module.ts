import { Module } from '@nestjs/common';
import { RealtimeThrottlerStorage } from './realtime-throttler.storage.js';

/**
 * Brings the storage for `ThrottlerModule`:
 *
 * ```ts
 * ThrottlerModule.forRootAsync({
 *   imports: [RealtimeThrottlerModule],
 *   inject: [RealtimeThrottlerStorage],
 *   useFactory: (storage: RealtimeThrottlerStorage) => ({ throttlers: [{ ttl: 60_000, limit: 120 }], storage }),
 * })
 * ```
 */
@Module({ providers: [RealtimeThrottlerStorage], exports: [RealtimeThrottlerStorage] })
export class RealtimeThrottlerModule {}
