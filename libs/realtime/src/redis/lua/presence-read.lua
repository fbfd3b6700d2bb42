-- A whole room at one version, or its count alone. Reads only. Follows presence-user.lua (its KEYS, 1 to 7).
-- ARGV[1] most users to list  ARGV[2] most bytes of devices to list
-- Returns { epoch, version, users, how, ... }; how: 'count' and nothing else, 'users' and each user as JSON, or 'entries' and
-- all entries, as { connection id, JSON }: cheaper to read, and as few as users while nearly each has one connection.

local meta = redis.call('HMGET', KEYS[2], 'e', 'v', 'b')
local users = redis.call('HLEN', KEYS[4])
local reply = { meta[1] or '', meta[2] or '0', tostring(users), 'count' }
if users > tonumber(ARGV[1]) or tonumber(meta[3] or '0') > tonumber(ARGV[2]) then return reply end
if redis.call('HLEN', KEYS[1]) <= 2 * users then
  reply[4] = 'entries'
  for _, value in ipairs(redis.call('HGETALL', KEYS[1])) do reply[#reply + 1] = value end
  return reply
end
reply[4] = 'users'
for _, user in ipairs(redis.call('ZRANGE', KEYS[7], 0, -1)) do reply[#reply + 1] = render(user, view(user)) end
return reply
