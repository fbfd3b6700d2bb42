import { type CanActivate, Injectable, NotFoundException } from '@nestjs/common';
import { DemoConfig } from '../config.js';

/** With a secret of one's own the route does not exist, whatever `NODE_ENV` is. */
@Injectable()
export class DevelopmentOnlyGuard implements CanActivate {
  constructor(private readonly config: DemoConfig) {}

  canActivate(): true {
    if (!this.config.isDevelopment) throw new NotFoundException();
    return true;
  }
}
