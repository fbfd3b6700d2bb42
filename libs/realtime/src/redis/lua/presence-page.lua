-- One page of a room, in the order of an index. Reads only.
-- KEYS[1] <prefix>{room}:p  KEYS[2] <prefix>{room}:pm  KEYS[3] the index: <prefix>{room}:pu or <prefix>{room}:pi
-- ARGV[1] where to begin: '-' or '(' and the last member of the page before  ARGV[2] most members
-- Returns { epoch, version, [member, JSON of its user or '']... }; one member more than asked for: there is a next page.

local meta = redis.call('HMGET', KEYS[2], 'e', 'v')
local reply = { meta[1] or '', meta[2] or '0' }
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], ARGV[1], '+', 'LIMIT', 0, tonumber(ARGV[2]) + 1)) do
  -- Of "incarnation US connection id US user id" the user is what follows the second separator.
  local user = member
  if string.sub(KEYS[3], -3) == ':pi' then
    local first = string.find(member, '\31', 1, true)
    user = string.sub(member, string.find(member, '\31', first + 1, true) + 1)
  end
  reply[#reply + 1] = member
  reply[#reply + 1] = redis.call('HGET', KEYS[1], user) or ''
end
return reply
