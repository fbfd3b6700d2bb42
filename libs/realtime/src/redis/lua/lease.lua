-- Takes, prolongs or only looks at node leases. All times are this server's.
-- KEYS[1] leases  sorted set: incarnation -> unix ms at which its lease lapses
-- KEYS[2] ids     hash: incarnation -> node id
-- KEYS[3] dead    sorted set: buried incarnation -> unix ms of the burial
-- KEYS[4] sweep   sorted set: buried incarnation -> unix ms of its second sweep
-- KEYS[5] meta    hash of the command log: epoch, offset, server
-- ARGV[1] incarnation ('' to only look)  ARGV[2] node id  ARGV[3] lease in ms  ARGV[4] epoch to use if a new one is due
-- Returns { server id, 'held' | 'lost' | 'look', epoch, offset, lapsed incarnations }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- ACL without +info: no failover is noticed.
local info = redis.pcall('INFO', 'replication')
local server = type(info) == 'string' and string.match(info, 'master_replid:(%x+)') or ''

-- Another server may have lost the log's last entries: positions of its past cannot be trusted.
local counted = redis.call('HGET', KEYS[5], 'server')
if not counted or (server ~= '' and counted ~= server) then
  redis.call('HSET', KEYS[5], 'server', server, 'epoch', ARGV[4])
end
local meta = redis.call('HMGET', KEYS[5], 'epoch', 'offset')

local status = 'look'
if ARGV[1] ~= '' then
  local lapsesAt = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if redis.call('ZSCORE', KEYS[3], ARGV[1]) or (lapsesAt and tonumber(lapsesAt) <= now) then
    status = 'lost'
  else
    status = 'held'
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  end
end

-- A tombstone of an hour outlives every delayed renewal.
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 3600000)
local lapsed = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 50)
for _, incarnation in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, 50)) do
  lapsed[#lapsed + 1] = incarnation
end
return { server, status, meta[1], tonumber(meta[2] or '0'), lapsed }
