import { Get, Inject, Res, type Type } from '@nestjs/common';
import type { Registry } from 'prom-client';
import { opsController, type OpsControllerOptions } from '../core/ops-controller.js';

/** Injection token of the `prom-client` registry that `/metrics` serves: for the app's own metrics. */
export const METRICS_REGISTRY = Symbol.for('nestjs-realtime:METRICS_REGISTRY');

/** Express' and Fastify's response both can do this. */
interface TextResponse {
  header(name: string, value: string): unknown;
  send(body: string): unknown;
}

/** A class for each module, because path and decorators are metadata of the class. */
export function metricsController(options: OpsControllerOptions): Type<unknown> {
  class MetricsController {
    constructor(@Inject(METRICS_REGISTRY) private readonly registry: Registry) {}

    // Sent by hand: an interceptor of the app that wraps every answer into JSON would make it unreadable.
    @Get()
    async scrape(@Res() response: TextResponse): Promise<void> {
      const body = await this.registry.metrics();
      response.header('Content-Type', this.registry.contentType);
      response.header('Cache-Control', 'no-store');
      response.send(body);
    }
  }
  opsController(MetricsController, options);
  return MetricsController;
}
