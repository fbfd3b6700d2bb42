-- Counts one hit in a fixed window and blocks what exceeds it. Times are this server's.
-- KEYS[1] hash: h hits in the window, e unix ms of the window's end, b unix ms of the block's end (0: none)
-- ARGV[1] window in ms  ARGV[2] limit  ARGV[3] block in ms (0: until the window ends)
-- Returns { hits, ms until the window ends, 1 if blocked, ms until the block ends }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ttl, limit, block = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local stored = redis.call('HMGET', KEYS[1], 'h', 'e', 'b')
local hits, endsAt, blockedUntil = tonumber(stored[1] or '0'), tonumber(stored[2] or '0'), tonumber(stored[3] or '0')

if blockedUntil > now then
  return { hits, math.max(endsAt - now, 0), 1, blockedUntil - now }
end
if blockedUntil > 0 or endsAt <= now then
  hits, endsAt, blockedUntil = 0, now + ttl, 0
end
hits = hits + 1
if hits > limit then
  blockedUntil = block > 0 and now + block or endsAt
end
redis.call('HSET', KEYS[1], 'h', hits, 'e', endsAt, 'b', blockedUntil)
redis.call('PEXPIRE', KEYS[1], math.max(endsAt, blockedUntil) - now)
if blockedUntil > 0 then
  return { hits, endsAt - now, 1, blockedUntil - now }
end
return { hits, endsAt - now, 0, 0 }
