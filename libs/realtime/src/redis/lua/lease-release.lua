-- Lets a lease run out earlier, never later.
-- KEYS[1] leases  sorted set: incarnation -> unix ms at which its lease lapses
-- ARGV[1] incarnation  ARGV[2] ms from now
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZADD', KEYS[1], 'XX', 'LT', now + tonumber(ARGV[2]), ARGV[1])
