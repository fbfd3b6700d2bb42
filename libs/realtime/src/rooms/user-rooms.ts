/** The rooms that belong to one user each; see `userRoom()`. */
const USER_ROOMS = 'user/';

export function isUserRoom(room: string): boolean {
  return room.startsWith(USER_ROOMS);
}
