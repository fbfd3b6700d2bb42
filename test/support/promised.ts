/**
 * An upper bound in milliseconds that the product promises, with the place where it does. Only for serial specs
 * (`test/chaos`, `*.serial.spec.ts`): beside other tests a bound says more about the machine than about the product.
 */
export function promised(ms: number, source: string): number {
  if ((globalThis as { IS_SERIAL?: boolean }).IS_SERIAL !== true)
    throw new Error(`A promised bound (${source}) is judged by a serial spec: name the file *.serial.spec.ts`);
  return ms;
}
