-- Adds one entry, or takes it over. Follows presence-room.lua (its KEYS, and ARGV 1 to 5).
-- ARGV[6] user id  ARGV[7] connection id  ARGV[8] incarnation  ARGV[9] device
-- ARGV[10] metadata as JSON, or '' for none
-- ARGV[11] most entries of the user, 0 = no limit  ARGV[12] most entries of the room, 0 = no limit
-- ARGV[13] '1': beyond ARGV[11] the oldest is evicted  ARGV[14] '1': an entry with the same device is evicted
-- ARGV[15] '1': restore  ARGV[16] the epoch that confirmed the restored entry, or ''
-- Returns JSON: { full, isLast } or { epoch, transition, evicted: [{ connectionId, incarnation }] }.

local user, id, incarnation, device = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local maxPerUser, maxTotal = tonumber(ARGV[11]), tonumber(ARGV[12])
local isRestore = ARGV[15] == '1'

local stored = connectionsOf(user)
local connections = stored or {}
local before = render(user, stored)
local known = connections[id]
local evicted = {}

local function reply(kind, userJson, flag)
  local list = {}
  for _, gone in ipairs(evicted) do
    list[#list + 1] = '{"connectionId":' .. cjson.encode(gone.id) .. ',"incarnation":' .. cjson.encode(gone.i) .. '}'
  end
  return '{"epoch":' .. cjson.encode(room.epoch) .. ',"transition":' .. transition(kind, userJson, flag)
    .. ',"evicted":[' .. table.concat(list, ',') .. ']}'
end

-- A late write of an older life: the entry belongs to a newer one, and only a restore changes the owner.
if known and known.i ~= incarnation and not isRestore then
  keepEpoch()
  return reply('none', before)
end

-- isLast: the incarnation has no entry in the room, so the room need not be in its index.
local function full(count)
  return '{"full":' .. count .. ',"isLast":' .. isLast(incarnation) .. '}'
end

local function evict(connectionId)
  local entry = connections[connectionId]
  evicted[#evicted + 1] = { id = connectionId, i = entry.i, m = entry.m }
  connections[connectionId] = nil
end

local function oldest()
  local first
  for connectionId, entry in pairs(connections) do
    if not first or entry.n < connections[first].n then first = connectionId end
  end
  return first
end

if not known and not isRestore then
  local count, same = 0, {}
  for connectionId, entry in pairs(connections) do
    count = count + 1
    if ARGV[14] == '1' and device ~= '' and entry.d == device then same[#same + 1] = connectionId end
  end
  for _, connectionId in ipairs(same) do evict(connectionId) end
  count = count - #same
  if maxPerUser > 0 and count >= maxPerUser then
    if ARGV[13] ~= '1' then return full(count) end
    for _ = maxPerUser, count do evict(oldest()) end
  end
  local total = redis.call('ZCARD', KEYS[3])
  if maxTotal > 0 and total - #evicted >= maxTotal then return full(total) end
end

local meta = ARGV[10] ~= '' and ARGV[10] or nil
local bytes = #ARGV[10]
for _, gone in ipairs(evicted) do bytes = bytes - #(gone.m or '') end
if known then bytes = bytes - #(known.m or '') end
connections[id] = {
  i = incarnation,
  d = device,
  m = meta,
  n = known and known.n or redis.call('HINCRBY', KEYS[2], 'q', 1),
}
redis.call('HSET', KEYS[1], user, cjson.encode(connections))
-- Added before anything is removed: a key that a script empties cannot be filled again while its slot moves.
redis.call('ZADD', KEYS[3], 0, memberOf(incarnation, id, user))
for _, gone in ipairs(evicted) do redis.call('ZREM', KEYS[3], memberOf(gone.i, gone.id, user)) end
if known and known.i ~= incarnation then redis.call('ZREM', KEYS[3], memberOf(known.i, id, user)) end
local isOccupied = room.users == 0
if isOccupied then redis.call('PERSIST', KEYS[2]) end
if not stored then
  redis.call('ZADD', KEYS[4], 0, user)
  room.users = room.users + 1
end
keepEpoch()
addBytes(bytes)

local after = render(user, connections)
if after == before then return reply('none', after) end
local isQuiet = isRestore and not known and ARGV[16] ~= '' and ARGV[16] ~= room.epoch
announce(after, isQuiet)
if isQuiet then return reply('none', after) end
return reply(stored and 'update' or 'join', after, isOccupied and 'occupied' or nil)
