/** Metadata keys, as texts: two copies of this library in one app agree. */
export const ROLES_KEY = 'realtime:roles';
export const SCOPES_KEY = 'realtime:scopes';

/** One list for each decorator on a class or handler; every list must hold. */
export type Requirements = readonly (readonly string[])[];
