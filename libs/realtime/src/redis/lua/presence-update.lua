-- New metadata for an entry that the incarnation owns. Follows presence-room.lua (its KEYS, and ARGV 1 to 5).
-- ARGV[6] user id  ARGV[7] connection id  ARGV[8] incarnation  ARGV[9] metadata as JSON, or '' for none
-- Returns JSON: the transition.

local user, id = ARGV[6], ARGV[7]
local connections = connectionsOf(user)
local before = render(user, connections)
local entry = connections and connections[id]
if not entry or entry.i ~= ARGV[8] then return transition('none', before) end

addBytes(#ARGV[9] - #(entry.m or ''))
entry.m = ARGV[9] ~= '' and ARGV[9] or nil
redis.call('HSET', KEYS[1], user, cjson.encode(connections))
local after = render(user, connections)
if after == before then return transition('none', after) end
announce(after)
return transition('update', after)
