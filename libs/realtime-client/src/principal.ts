import type { Hello } from 'nestjs-realtime-protocol';

/** Begins the name of a connection of which nobody says whose it is: it is like no other, and nothing of it is stored. */
const UNKNOWN_USER = '\0';

/** Whose a connection is. `claimed`: what the app says, where the server does not; an empty string: an anonymous client. */
export function principalOf({ userRoom, connectionId }: Hello, claimed: string | undefined): string {
  try {
    if (userRoom) return decodeURIComponent(userRoom.slice(5));
  } catch {
    // Nothing that a server of ours says.
  }
  return claimed ?? UNKNOWN_USER + connectionId;
}

/** The id of a user, under which something may be stored. */
export function userOf(principal: string | undefined): string | undefined {
  return principal && principal[0] !== UNKNOWN_USER ? principal : undefined;
}
