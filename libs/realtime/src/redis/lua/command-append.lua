-- Appends one command to the cluster's log and publishes it.
-- KEYS[1] meta    hash: epoch, offset, server
-- KEYS[2] log     sorted set: '<offset>:<JSON of id and command>' -> offset
-- KEYS[3] expiry  sorted set: offset -> unix ms at which the entry goes
-- ARGV[1] JSON of { id, command }  ARGV[2] ttl in ms  ARGV[3] channel  ARGV[4] epoch to use if a new one is due
-- Returns { epoch, offset }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- ACL without +info: no failover is noticed.
local info = redis.pcall('INFO', 'replication')
local server = type(info) == 'string' and string.match(info, 'master_replid:(%x+)') or ''
local counted = redis.call('HGET', KEYS[1], 'server')
if not counted or (server ~= '' and counted ~= server) then
  redis.call('HSET', KEYS[1], 'server', server, 'epoch', ARGV[4])
end
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local offset = redis.call('HINCRBY', KEYS[1], 'offset', 1)
redis.call('ZADD', KEYS[2], offset, offset .. ':' .. ARGV[1])
redis.call('ZADD', KEYS[3], now + tonumber(ARGV[2]), offset)
for _, expired in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 200)) do
  redis.call('ZREMRANGEBYSCORE', KEYS[2], expired, expired)
  redis.call('ZREM', KEYS[3], expired)
end
-- JSON by hand: cjson would rewrite numbers and empty lists of the command.
local position = '{"epoch":"' .. epoch .. '","offset":' .. offset .. '}'
redis.call('PUBLISH', ARGV[3], '{"position":' .. position .. ',' .. string.sub(ARGV[1], 2))
return { epoch, offset }
