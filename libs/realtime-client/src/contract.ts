import type { HistoryReply, Publication } from 'nestjs-realtime-protocol';

/**
 * What one namespace speaks, as a type:
 *
 * ```ts
 * interface ChatContract {
 *   events: { notification: { text: string } };
 *   requests: { 'message.send': { data: { chatId: string; text: string }; answer: { id: string } } };
 *   rooms: { 'chat/:id': { state: { topic: string }; events: { message: { from: string; text: string } } } };
 * }
 * ```
 *
 * Every part is optional; what is missing is `unknown`. The gateway's methods can name the same types:
 * `send(@MessageBody() data: RequestData<ChatContract, 'message.send'>): RequestAnswer<ChatContract, 'message.send'>`.
 */
export interface RealtimeContract {
  /** Events to this user or to everybody, and of rooms that name none of their own. */
  events?: object;
  requests?: object;
  /** By pattern, as in `@RoomPolicy`. */
  rooms?: object;
}

type Part<Contract, Name extends string> = Contract extends { [key in Name]: infer Found } ? Found : unknown;
type NameIn<Group> = Group extends object ? Extract<keyof Group, string> : string;
type Of<Group, Name extends string> = Group extends { [key in Name]: infer Found } ? Found : unknown;

export type EventName<Contract> = NameIn<Part<Contract, 'events'>>;

export type EventData<Contract, Event extends string> = Of<Part<Contract, 'events'>, Event>;

export type RequestName<Contract> = NameIn<Part<Contract, 'requests'>>;

export type RequestData<Contract, Request extends string> =
  Part<Contract, 'requests'> extends { [key in Request]: { data: infer Data } } ? Data : unknown;

export type RequestAnswer<Contract, Request extends string> =
  Part<Contract, 'requests'> extends { [key in Request]: { answer: infer Answer } } ? Answer : unknown;

/** `chat/:id` as the names that it matches: `chat/${string}`. */
type Filled<Pattern extends string> = Pattern extends `${infer Head}/${infer Tail}`
  ? `${Segment<Head>}/${Filled<Tail>}`
  : Segment<Pattern>;
type Segment<Text extends string> = Text extends `:${string}` ? string : Text;

/** The names that some pattern of the contract matches. */
export type RoomName<Contract> =
  Part<Contract, 'rooms'> extends object ? Filled<NameIn<Part<Contract, 'rooms'>>> : string;

/** What the contract says of the room with this name. */
type RoomOf<Contract, Name extends string> =
  Part<Contract, 'rooms'> extends infer Rooms extends object
    ? { [Pattern in NameIn<Rooms>]: Name extends Filled<Pattern> ? Of<Rooms, Pattern> : never }[NameIn<Rooms>]
    : unknown;

/** What the room's policy answers as `state` in the join reply. */
export type RoomState<Contract, Name extends string> = Of<RoomOf<Contract, Name>, 'state'>;

type RoomEvents<Contract, Name extends string> =
  Of<RoomOf<Contract, Name>, 'events'> extends infer Events extends object ? Events : Part<Contract, 'events'>;

export type RoomEventName<Contract, Name extends string> = NameIn<RoomEvents<Contract, Name>>;

export type RoomEventData<Contract, Name extends string, Event extends string> = Of<RoomEvents<Contract, Name>, Event>;

/** One publication of a room's history: `event` says which `data` it has. */
export type RoomPublication<Contract, Name extends string> = {
  [Event in RoomEventName<Contract, Name>]: Omit<Publication, 'event' | 'data'> & {
    event: Event;
    data: RoomEventData<Contract, Name, Event>;
  };
}[RoomEventName<Contract, Name>];

export type RoomHistory<Contract, Name extends string> = Omit<HistoryReply, 'publications'> & {
  publications: RoomPublication<Contract, Name>[];
};
