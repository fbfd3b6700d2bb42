import { type CanActivate, Injectable, NotFoundException } from '@nestjs/common';
import { DemoConfig } from '../config.js';

/** In production the route does not exist. */
@Injectable()
export class DevelopmentOnlyGuard implements CanActivate {
  constructor(private readonly config: DemoConfig) {}

  canActivate(): true {
    if (this.config.isProduction) throw new NotFoundException();
    return true;
  }
}
