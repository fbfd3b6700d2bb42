-- Ends a claim, if it is still the token's.
-- KEYS[1] hash, KEYS[2] sorted set: see request-claim.lua
-- KEYS[3] list: ids with an answer, the oldest first
-- ARGV[1] request id  ARGV[2] token  ARGV[3] 'answer' | 'applied' | 'release' | 'forget'  ARGV[4] JSON of the answer
-- ARGV[5] window in ms  ARGV[6] most answers
-- Returns 1, or 0 if the claim is not the token's
local found = redis.call('HGET', KEYS[1], ARGV[1])
local token, attempt = string.match(found or '', '^c|([^|]*)|[^|]*|(%d+)$')
if token ~= ARGV[2] then return 0 end

if ARGV[3] == 'forget' then
  if attempt == '1' then
    redis.call('HDEL', KEYS[1], ARGV[1])
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
  redis.call('RPUSH', KEYS[3], ARGV[1])
  for _ = 1, redis.call('LLEN', KEYS[3]) - tonumber(ARGV[6]) do
    local oldest = redis.call('LPOP', KEYS[3])
    local answer = redis.call('HGET', KEYS[1], oldest)
    if answer and string.sub(answer, 1, 1) == 'a' then redis.call('HSET', KEYS[1], oldest, 'd') end
  end
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[5]) end
return 1
