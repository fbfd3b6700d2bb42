-- Claims one request of a principal, or says what is known of it. Times are this server's.
-- KEYS[1] hash: request (its device and id) -> 'c|token|incarnation|attempt' claimed, 'a<JSON>' answered,
--               'd' applied without an answer, 'r|attempt' may run again; 'b' -> bytes of all answers, 's' -> answers ever;
--               'e' and request -> its event (of its own, because older nodes read the other values as they are above)
-- KEYS[2] sorted set: request -> unix ms of its claim or answer
-- ARGV[1] request  ARGV[2] token  ARGV[3] incarnation  ARGV[4] window in ms  ARGV[5] most requests in the window
-- ARGV[6] token of the claim to take over ('': none)  ARGV[7] what that adds to the attempt  ARGV[8] event ('': any)
-- Returns { 'run', attempt } | { 'claimed', token, incarnation } | { 'answered', JSON } | { 'applied' } | { 'other-event' }
--       | { 'full', ms }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window = tonumber(ARGV[4])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - window, 'LIMIT', 0, 100)) do
  local gone = redis.call('HGET', KEYS[1], id)
  if gone and string.sub(gone, 1, 1) == 'a' then redis.call('HINCRBY', KEYS[1], 'b', 1 - #gone) end
  redis.call('HDEL', KEYS[1], id, 'e' .. id)
  redis.call('ZREM', KEYS[2], id)
end

local attempt = 1
local since = redis.call('ZSCORE', KEYS[2], ARGV[1])
local found = since and tonumber(since) > now - window and redis.call('HGET', KEYS[1], ARGV[1])
if found then
  local event = redis.call('HGET', KEYS[1], 'e' .. ARGV[1])
  if event and ARGV[8] ~= '' and event ~= ARGV[8] then return { 'other-event' } end
  local kind = string.sub(found, 1, 1)
  if kind == 'a' then return { 'answered', string.sub(found, 2) } end
  if kind == 'd' then return { 'applied' } end
  if kind == 'r' then
    attempt = tonumber(string.sub(found, 3)) + 1
  else
    local token, incarnation, claimed = string.match(found, '^c|([^|]*)|([^|]*)|(%d+)$')
    if token ~= ARGV[6] then return { 'claimed', token, incarnation } end
    attempt = tonumber(claimed) + tonumber(ARGV[7])
  end
elseif redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  return { 'full', math.max(tonumber(oldest[2]) + window - now, 1) }
end

redis.call('HSET', KEYS[1], ARGV[1], 'c|' .. ARGV[2] .. '|' .. ARGV[3] .. '|' .. attempt)
if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'e' .. ARGV[1], ARGV[8]) end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], window)
redis.call('PEXPIRE', KEYS[2], window)
return { 'run', attempt }
