import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import type { Principal } from '../core/principal.js';
import { AllowAnonymous, isAnonymousAllowed } from './allow-anonymous.decorator.js';
import { RequireScopes, Roles } from './auth.decorators.js';
import { getPrincipal, RealtimeAuthGuard } from './realtime-auth.guard.js';

const principal = (roles: string[], scopes: string[] = []): Principal => ({ id: 'ada', roles, scopes, claims: {} });

@Roles('member', 'admin')
class Gateway {
  plain(): void {}

  @Roles('admin')
  admin(): void {}

  @Roles('editor')
  @Roles('admin')
  stacked(): void {}

  @RequireScopes('read', 'write')
  scoped(): void {}
}

@AllowAnonymous()
class OpenGateway {
  plain(): void {}
}
class DerivedGateway extends OpenGateway {}

@Roles('auditor')
class StricterGateway extends Gateway {}

const contextOf = (own: Principal | undefined, handler: () => void, type = 'ws', metatype: object = Gateway) => {
  const context = new ExecutionContextHost([{ data: { principal: own } }, {}], metatype as never, handler);
  context.setType(type);
  return context;
};
const guard = new RealtimeAuthGuard();
const verdict = (...args: Parameters<typeof contextOf>): string => {
  try {
    return String(guard.canActivate(contextOf(...args)));
  } catch (error) {
    return (error as { code: string }).code;
  }
};
const { plain, admin, stacked, scoped } = Gateway.prototype;

describe('when the guard judges a message', () => {
  it.each<[string, Principal | undefined, () => void, string]>([
    ['without a principal', undefined, plain, 'UNAUTHORIZED'],
    ['with one of the class’s roles', principal(['member']), plain, 'true'],
    ['with none of them', principal(['guest']), plain, 'FORBIDDEN'],
    ['with the class’s role, not the handler’s', principal(['member']), admin, 'FORBIDDEN'],
    ['with both', principal(['admin']), admin, 'true'],
    ['with one of two stacked roles', principal(['admin']), stacked, 'FORBIDDEN'],
    ['with both stacked roles', principal(['admin', 'editor']), stacked, 'true'],
    ['with some of the scopes', principal(['admin'], ['read']), scoped, 'FORBIDDEN'],
    ['with all of the scopes', principal(['admin'], ['write', 'read']), scoped, 'true'],
  ])('answers one %s', (_name, own, handler, expected) => {
    expect(verdict(own, handler)).toBe(expected);
  });

  it('leaves other contexts to their own guards', () => {
    expect(verdict(undefined, admin, 'http')).toBe('true');
    expect(getPrincipal(contextOf(principal([]), plain, 'http'))).toBeUndefined();
  });

  it('adds a subclass’s roles to the inherited ones', () => {
    expect(verdict(principal(['auditor']), plain, 'ws', StricterGateway)).toBe('FORBIDDEN');
    expect(verdict(principal(['auditor', 'member']), plain, 'ws', StricterGateway)).toBe('true');
    expect(verdict(principal(['member']), plain)).toBe('true');
  });
});

describe('when decorators are written down', () => {
  it('brings the guard with the requirement', () => {
    for (const subject of [Gateway, admin, scoped])
      expect(Reflect.getMetadata('__guards__', subject)).toContain(RealtimeAuthGuard);
  });

  it('refuses an empty list', () => {
    expect(() => (Roles as () => unknown)()).toThrow(/@Roles\(\) needs at least one name/);
  });

  it('marks the gateway that admits strangers, not its subclasses', () => {
    expect([OpenGateway, DerivedGateway, Gateway].map(isAnonymousAllowed)).toEqual([true, false, false]);
  });
});
