import {
  Inject,
  Injectable,
  type ArgumentMetadata,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { Test } from '@nestjs/testing';
import { lastValueFrom, of } from 'rxjs';
import { isFitForGateways } from '../core/enhancers.js';
import { gatewayScope } from '../core/gateway-scope.js';
import { httpOnly } from './http-only.js';

const contextOf = (type: string): ExecutionContext => {
  const context = new ExecutionContextHost([]);
  context.setType(type);
  return context;
};

@Injectable()
class RefusingGuard implements CanActivate {
  constructor(@Inject('VERDICT') private readonly verdict: boolean) {}
  canActivate = (_context: ExecutionContext): boolean => this.verdict;
}

@Injectable()
class MarkingInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, _next: CallHandler): ReturnType<CallHandler['handle']> {
    return of('marked');
  }
}

@Injectable()
class UpperCasePipe implements PipeTransform<string, string> {
  transform(value: string): string {
    return value.toUpperCase();
  }
}

describe('when an enhancer for HTTP alone is global', () => {
  it('gets its dependencies from Nest as before', async () => {
    const Wrapped = httpOnly(RefusingGuard);
    const module = await Test.createTestingModule({
      providers: [Wrapped, { provide: 'VERDICT', useValue: false }],
    }).compile();
    const guard = module.get(Wrapped);
    expect(guard).toBeInstanceOf(RefusingGuard);
    expect(guard.constructor.name).toBe('HttpOnly(RefusingGuard)');
    expect(isFitForGateways(guard)).toBe(true);
    expect(isFitForGateways(new RefusingGuard(false))).toBe(false);
    await module.close();
  });

  it.each([
    ['http', false],
    ['graphql', false],
    ['ws', true],
    ['rpc', true],
  ])('guards %s: lets pass is %s', (type, verdict) => {
    const guard = new (httpOnly(RefusingGuard))(false);
    expect(guard.canActivate(contextOf(type))).toBe(verdict);
  });

  it('intercepts requests and hands messages over', async () => {
    const interceptor = new (httpOnly(MarkingInterceptor))();
    const next: CallHandler = { handle: () => of('as it was') };
    expect(await lastValueFrom(interceptor.intercept(contextOf('http'), next))).toBe('marked');
    expect(await lastValueFrom(interceptor.intercept(contextOf('ws'), next))).toBe('as it was');
  });

  it('transforms outside of messages only, whatever is awaited in between', async () => {
    const pipe = new (httpOnly(UpperCasePipe))() as PipeTransform<string, string>;
    const metadata: ArgumentMetadata = { type: 'body' };
    const later = async (): Promise<string> => {
      await Promise.resolve();
      return pipe.transform('a', metadata);
    };
    expect(await later()).toBe('A');
    expect(await Promise.all([gatewayScope.run(later), later()])).toEqual(['a', 'A']);
  });
});
