-- Reads a page of the cluster's command log.
-- KEYS as in command-append.lua
-- ARGV[1] read after this offset  ARGV[2] epoch of that offset ('' for any)  ARGV[3] most entries  ARGV[4] epoch to use if a new one is due
-- Returns { epoch, top offset, entries '<offset>:<JSON>' }; an offset of another epoch reads from the beginning.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- ACL without +info: no failover is noticed.
local info = redis.pcall('INFO', 'replication')
local server = type(info) == 'string' and string.match(info, 'master_replid:(%x+)') or ''
local counted = redis.call('HGET', KEYS[1], 'server')
if not counted or (server ~= '' and counted ~= server) then
  redis.call('HSET', KEYS[1], 'server', server, 'epoch', ARGV[4])
end
for _, expired in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 200)) do
  redis.call('ZREMRANGEBYSCORE', KEYS[2], expired, expired)
  redis.call('ZREM', KEYS[3], expired)
end
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'offset')
local after = ARGV[1]
if ARGV[2] ~= '' and ARGV[2] ~= meta[1] then after = '-1' end
local entries = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. after, '+inf', 'LIMIT', 0, tonumber(ARGV[3]))
return { meta[1], tonumber(meta[2] or '0'), entries }
