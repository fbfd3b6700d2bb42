import type { DynamicModule } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { moduleOf, startApp } from './support.js';

describe('when forRoot is called twice with equal options', () => {
  it('makes two modules of it, each with its own providers', async () => {
    let made = 0;
    class FeatureModule {
      static forRoot(options: { size: number }): DynamicModule {
        const count = { provide: 'COUNT', useFactory: () => ++made };
        return { module: FeatureModule, providers: [{ provide: 'OPTIONS', useValue: options }, count] };
      }
    }
    const First = moduleOf({ imports: [FeatureModule.forRoot({ size: 1 })] });
    const Second = moduleOf({ imports: [FeatureModule.forRoot({ size: 1 })] });

    const { app } = await startApp({ imports: [First, Second] });

    const modules = [...app.get(ModulesContainer).values()].filter(({ metatype }) => metatype === FeatureModule);
    expect(modules).toHaveLength(2);
    expect(made).toBe(2);
  });
});
