-- KEYS[1] leases  sorted set: incarnation -> unix ms at which its lease lapses
-- KEYS[2] ids     hash: incarnation -> node id
-- Returns { incarnation, node id, incarnation, node id, ... } of at most 1 000 nodes.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local alive = {}
for _, incarnation in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'LIMIT', 0, 1000)) do
  local nodeId = redis.call('HGET', KEYS[2], incarnation)
  if nodeId then
    alive[#alive + 1] = incarnation
    alive[#alive + 1] = nodeId
  end
end
return alive
