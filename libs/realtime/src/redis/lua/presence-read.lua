-- A whole room at one version, or its count alone. Reads only.
-- KEYS[1] <prefix>{room}:p  KEYS[2] <prefix>{room}:pm (see presence-room.lua)
-- ARGV[1] most users to list  ARGV[2] most bytes of metadata to list
-- Returns { epoch, version, users, 1 if listed else 0, [user id, its JSON]... }.

local meta = redis.call('HMGET', KEYS[2], 'e', 'v', 'b')
local users = redis.call('HLEN', KEYS[1])
local reply = { meta[1] or '', meta[2] or '0', tostring(users), '0' }
if users > tonumber(ARGV[1]) or tonumber(meta[3] or '0') > tonumber(ARGV[2]) then return reply end
reply[4] = '1'
for _, value in ipairs(redis.call('HGETALL', KEYS[1])) do reply[#reply + 1] = value end
return reply
