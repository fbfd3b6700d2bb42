-- One page of a room's users, or one user. Reads only. Follows presence-user.lua (its KEYS, 1 to 7).
-- ARGV[1] where to begin: '-' or '(' and the last id of the page before; '[' and an id for this user  ARGV[2] most users
-- Returns { epoch, version, [id, user as JSON]... }; one user more than asked for: there is a next page.

local meta = redis.call('HMGET', KEYS[2], 'e', 'v')
local reply = { meta[1] or '', meta[2] or '0' }
for _, user in ipairs(redis.call('ZRANGEBYLEX', KEYS[7], ARGV[1], '+', 'LIMIT', 0, tonumber(ARGV[2]) + 1)) do
  reply[#reply + 1] = user
  reply[#reply + 1] = render(user, view(user))
end
return reply
