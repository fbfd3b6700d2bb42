export * from './codes.js';
export * from './names.js';
export * from './wire.js';
