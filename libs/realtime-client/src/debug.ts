/** Never fails, whatever the app's hook does. */
export type Debug = (message: string, details?: unknown) => void;
