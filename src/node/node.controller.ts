import { Controller, Get, HttpCode, Logger, NotFoundException, Post, UseGuards } from '@nestjs/common';
import { DevelopmentOnlyGuard } from '../auth/development-only.guard.js';
import { DemoConfig } from '../config.js';

export interface NodeInfo {
  name: string;
  engine: 'Redis' | 'memory';
  /** Addresses of all nodes of `npm run demo:cluster`; empty: this node is alone and cannot be killed from the page. */
  cluster: readonly string[];
}

/** Long enough for the answer to leave. */
const LAST_WORDS_MS = 50;

@Controller()
export class NodeController {
  private readonly logger = new Logger('Demo');

  constructor(private readonly config: DemoConfig) {}

  @Get('node')
  info(): NodeInfo {
    return { name: this.config.nodeName, engine: this.config.engine, cluster: this.config.clusterUrls };
  }

  /** Ends this process as a crash would: no goodbye, no cleanup. Only in `npm run demo:cluster`. */
  @Post('dev/kill')
  @HttpCode(202)
  @UseGuards(DevelopmentOnlyGuard)
  kill(): { killed: string } {
    if (this.config.clusterUrls.length === 0) throw new NotFoundException();
    this.logger.warn('SIGKILL was asked for');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), LAST_WORDS_MS);
    return { killed: this.config.nodeName };
  }
}
