/**
 * A process that publishes once and has nothing else to do: `node dist/test-apps/emitter-worker.js <Redis url> <key prefix>`.
 * It ends by itself if nothing is left after `close()`.
 */
import { RealtimeEmitter } from 'nestjs-realtime/emitter';

const [url, keyPrefix] = process.argv.slice(2);
const emitter = new RealtimeEmitter({ redis: { url, keyPrefix } });
emitter.toRoom('chat/1').emit('hint', 1);
const reply = await emitter.toUser('ada').publish('note', { text: 'done' }, { id: 'job 1' });
await emitter.close();
console.log(JSON.stringify(reply));
