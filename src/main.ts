import { Logger } from '@nestjs/common';
import { DemoConfig } from './config.js';
import { createDemo } from './demo.js';

const app = await createDemo();
const config = app.get(DemoConfig);
await (config.host === undefined ? app.listen(config.port) : app.listen(config.port, config.host));

const url = (await app.getUrl()).replace(/\[::1\]|127\.0\.0\.1/, 'localhost');
new Logger('Demo').log(`Open ${url} in two windows: running on ${config.engine}`);
