-- One page of a room's entries. Reads only. Follows presence-user.lua (its KEYS, 1 to 8).
-- ARGV[1] where to begin: '-' or '(' and the last member of the page before  ARGV[2] most entries
-- Returns [member, JSON of its entry or '']...; one member more than asked for: there is a next page.

local reply = {}
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[8], ARGV[1], '+', 'LIMIT', 0, tonumber(ARGV[2]) + 1)) do
  local at = string.find(member, SEPARATOR, 1, true)
  local id = string.sub(member, at + 1, string.find(member, SEPARATOR, at + 1, true) - 1)
  reply[#reply + 1] = member
  reply[#reply + 1] = redis.call('HGET', KEYS[1], id) or ''
end
return reply
