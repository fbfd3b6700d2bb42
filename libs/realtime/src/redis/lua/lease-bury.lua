-- Called after a sweep: the first time a lapsed incarnation becomes dead, the second time it is forgotten.
-- KEYS[1] leases  KEYS[2] ids  KEYS[3] dead  KEYS[4] sweep: as in lease.lua
-- ARGV[1] incarnation  ARGV[2] ms until the second sweep
-- Returns 1: dead now, 2: forgotten now, 0: nothing changed
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lapsesAt = redis.call('ZSCORE', KEYS[1], ARGV[1])
if lapsesAt then
  if tonumber(lapsesAt) > now then return 0 end
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[3], now, ARGV[1])
  redis.call('ZADD', KEYS[4], now + tonumber(ARGV[2]), ARGV[1])
  return 1
end
local sweepAt = redis.call('ZSCORE', KEYS[4], ARGV[1])
if sweepAt and tonumber(sweepAt) <= now then
  redis.call('ZREM', KEYS[4], ARGV[1])
  return 2
end
return 0
