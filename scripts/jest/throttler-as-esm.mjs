// @nestjs/throttler is CommonJS and requires Nest 12, which is ESM. Node does that; Jest does it from Node 24.9 on.
// Until then its files are evaluated here, inside Jest's world, with the Nest that the test imports.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as common from '@nestjs/common';
import * as core from '@nestjs/core';

const requireBuiltIn = createRequire(import.meta.url);
const entry = join(import.meta.dirname, '../../node_modules/@nestjs/throttler/dist/index.js');
const given = { '@nestjs/common': common, '@nestjs/core': core };
const loaded = new Map();

function load(path) {
  const known = loaded.get(path);
  if (known) return known.exports;
  const module = { exports: {} };
  loaded.set(path, module);
  const resolve = (name) =>
    name.startsWith('.') ? load(join(dirname(path), `${name}.js`)) : (given[name] ?? requireBuiltIn(name));
  new Function('exports', 'require', 'module', readFileSync(path, 'utf8'))(module.exports, resolve, module);
  return module.exports;
}

const throttler = load(entry);

export const {
  InjectThrottlerOptions,
  InjectThrottlerStorage,
  SkipThrottle,
  Throttle,
  ThrottlerException,
  ThrottlerGuard,
  ThrottlerModule,
  ThrottlerStorage,
  ThrottlerStorageService,
  days,
  getOptionsToken,
  getStorageToken,
  hours,
  minutes,
  seconds,
} = throttler;
