/**
 * What one namespace speaks, as a type:
 *
 * ```ts
 * interface ChatContract {
 *   events: { message: { from: string; text: string } };
 *   requests: { 'message.send': { data: { room: string; text: string }; answer: { id: string } } };
 *   rooms: { 'chat/42': { state: { topic: string } } };
 * }
 * ```
 *
 * Every part is optional; what is missing is `unknown`.
 */
export interface RealtimeContract {
  events?: object;
  requests?: object;
  rooms?: object;
}

type Part<Contract, Name extends string> = Contract extends { [key in Name]: infer Found } ? Found : unknown;

export type EventName<Contract> =
  Part<Contract, 'events'> extends object ? Extract<keyof Part<Contract, 'events'>, string> : string;

export type EventData<Contract, Event extends string> =
  Part<Contract, 'events'> extends { [key in Event]: infer Data } ? Data : unknown;

export type RequestName<Contract> =
  Part<Contract, 'requests'> extends object ? Extract<keyof Part<Contract, 'requests'>, string> : string;

export type RequestData<Contract, Request extends string> =
  Part<Contract, 'requests'> extends { [key in Request]: { data: infer Data } } ? Data : unknown;

export type RequestAnswer<Contract, Request extends string> =
  Part<Contract, 'requests'> extends { [key in Request]: { answer: infer Answer } } ? Answer : unknown;

/** What the room's policy answers as `state` in the join reply. */
export type RoomState<Contract, Room extends string> =
  Part<Contract, 'rooms'> extends { [key in Room]: { state: infer State } } ? State : unknown;
