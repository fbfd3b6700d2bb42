-- Ends a claim, if it is still the token's.
-- KEYS[1] hash, KEYS[2] sorted set: see request-claim.lua
-- KEYS[3] sorted set: requests with an answer -> the how manieth it is; some may have lost it
-- KEYS[4] list: those of one device, the oldest first
-- ARGV[1] request  ARGV[2] token  ARGV[3] 'answer' | 'applied' | 'release' | 'forget'  ARGV[4] JSON of the answer
-- ARGV[5] window in ms  ARGV[6] most answers of the device  ARGV[7] most bytes of answers
-- Returns 1, or 0 if the claim is not the token's
local function isAnswer(value) return value and string.sub(value, 1, 1) == 'a' end

-- That it happened is still known.
local function dropAnswer(request)
  local value = redis.call('HGET', KEYS[1], request)
  if not isAnswer(value) then return end
  redis.call('HSET', KEYS[1], request, 'd')
  redis.call('HINCRBY', KEYS[1], 'b', 1 - #value)
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HGET', KEYS[1], ARGV[1])
local token, attempt = string.match(found or '', '^c|([^|]*)|[^|]*|(%d+)$')
if token ~= ARGV[2] then return 0 end

if ARGV[3] == 'forget' then
  if attempt == '1' then
    redis.call('HDEL', KEYS[1], ARGV[1], 'e' .. ARGV[1])
    redis.call('ZREM', KEYS[2], ARGV[1])
  else
    -- An earlier attempt may have run: the next one has to know.
    redis.call('HSET', KEYS[1], ARGV[1], 'r|' .. (attempt - 1))
  end
  return 1
end
if ARGV[3] == 'release' then
  redis.call('HSET', KEYS[1], ARGV[1], 'r|' .. attempt)
elseif ARGV[3] == 'applied' then
  redis.call('HSET', KEYS[1], ARGV[1], 'd')
else
  redis.call('HSET', KEYS[1], ARGV[1], 'a' .. ARGV[4])
  redis.call('HINCRBY', KEYS[1], 'b', #ARGV[4])
  -- Counted, because several come in one millisecond.
  redis.call('ZADD', KEYS[3], redis.call('HINCRBY', KEYS[1], 's', 1), ARGV[1])
  redis.call('RPUSH', KEYS[4], ARGV[1])
  for _ = 1, redis.call('LLEN', KEYS[4]) - tonumber(ARGV[6]) do dropAnswer(redis.call('LPOP', KEYS[4])) end
  local bytes = tonumber(redis.call('HGET', KEYS[1], 'b'))
  -- The oldest go, and those that are none any more: each settlement adds one and takes away more, so few are left over.
  for _ = 1, 1000 do
    local oldest = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
    if not oldest then break end
    if bytes <= tonumber(ARGV[7]) and isAnswer(redis.call('HGET', KEYS[1], oldest)) then break end
    redis.call('ZREM', KEYS[3], oldest)
    dropAnswer(oldest)
    bytes = tonumber(redis.call('HGET', KEYS[1], 'b'))
  end
end
redis.call('ZADD', KEYS[2], now, ARGV[1])
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[5]) end
return 1
