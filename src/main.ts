import { Logger } from '@nestjs/common';
import { DemoConfig } from './config.js';
import { createDemo } from './demo.js';

const app = await createDemo();
const config = app.get(DemoConfig);
await app.listen(config.port);

const url = (await app.getUrl()).replace('[::1]', 'localhost');
new Logger('Demo').log(`Open ${url} in two windows: running on ${config.engine}`);
