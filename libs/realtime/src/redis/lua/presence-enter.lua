-- Adds one entry, or takes it over. Follows presence-room.lua (its KEYS, and ARGV 1 to 6).
-- ARGV[7] user id  ARGV[8] connection id  ARGV[9] incarnation  ARGV[10] device
-- ARGV[11] metadata as JSON, or '' for none
-- ARGV[12] most entries of the user, 0 = no limit  ARGV[13] most entries of the room, 0 = no limit
-- ARGV[14] '1': beyond ARGV[12] the oldest is evicted  ARGV[15] '1': entries with the same device are evicted
-- ARGV[16] '1': restore  ARGV[17] the epoch that confirmed the restored entry, or ''
-- Returns JSON: { full, isLast } or { epoch, transition, connections: of the user, evicted: [{ connectionId, incarnation }] }.

local MAX_EVICTED = 16

local user, id, incarnation, device = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local meta = ARGV[11] ~= '' and ARGV[11] or false
local maxPerUser, maxTotal = tonumber(ARGV[12]), tonumber(ARGV[13])
local isRestore = ARGV[16] == '1'

local known = entryOf(id)
local connections = tonumber(redis.call('HGET', KEYS[4], user) or '0')
local evicted = {}

local function reply(transitionJson)
  local list = {}
  for i, gone in ipairs(evicted) do
    list[i] = '{"connectionId":' .. cjson.encode(gone.id) .. ',"incarnation":' .. cjson.encode(gone.incarnation) .. '}'
  end
  return '{"epoch":' .. cjson.encode(room.epoch) .. ',"transition":' .. transitionJson
    .. ',"connections":' .. string.format('%d', connections) .. ',"evicted":[' .. table.concat(list, ',') .. ']}'
end

-- A late write of an older life: the entry belongs to a newer one, and only a restore changes the owner.
if known and (known.user ~= user or (known.incarnation ~= incarnation and not isRestore)) then
  keepEpoch()
  return reply(transition('none', render(user, view(user))))
end

-- isLast: the incarnation has no entry in the room, so the room need not be in its index.
local function full(count)
  return '{"full":' .. string.format('%d', count) .. ',"isLast":' .. isLast(incarnation) .. '}'
end

local replaced, surplus = {}, 0
if not known and not isRestore then
  if ARGV[15] == '1' and device ~= '' then replaced = first(KEYS[6], deviceField(user, device), MAX_EVICTED) end
  local left = connections - #replaced
  if maxPerUser > 0 and left >= maxPerUser then
    if ARGV[14] ~= '1' then return full(left) end
    surplus = math.min(left - maxPerUser + 1, MAX_EVICTED - #replaced)
  end
  local total = redis.call('HLEN', KEYS[1])
  if maxTotal > 0 and total - #replaced - surplus >= maxTotal then return full(total) end
end

local entry = { id = id, user = user, incarnation = incarnation, device = device, meta = meta }
local isSameDevice = known and known.device == device
entry.number = isSameDevice and known.number or redis.call('HINCRBY', KEYS[2], 'q', 1)
-- Nothing that can be seen changes: a write that is repeated, or a restore that changes the owner alone.
local isSeen = not isSameDevice or known.meta ~= meta
local before = isSeen and view(user) or nil

-- Added before anything is removed: a key that a script empties cannot be filled again while its slot moves.
save(entry)
if known and known.incarnation ~= incarnation then redis.call('ZREM', KEYS[8], memberOf(known)) end
if not isSameDevice then place(entry) end
if known and not isSameDevice then displace(known) end
local isJoin = connections == 0
if not known then connections = redis.call('HINCRBY', KEYS[4], user, 1) end

local function evict(connectionId)
  local gone = entryOf(connectionId)
  evicted[#evicted + 1] = gone
  redis.call('HDEL', KEYS[1], connectionId)
  redis.call('ZREM', KEYS[8], memberOf(gone))
  displace(gone)
end

for _, member in ipairs(replaced) do evict(string.sub(member, #deviceField(user, device) + DIGITS + 3)) end
-- The oldest connection is the oldest one of the oldest device: the first of the user's members.
for _ = 1, surplus do evict(string.sub(first(KEYS[3], escaped(user), 1)[1], #escaped(user) + DIGITS + 4)) end
if #evicted > 0 then connections = redis.call('HINCRBY', KEYS[4], user, -#evicted) end

local isOccupied = room.users == 0
if isOccupied then redis.call('PERSIST', KEYS[2]) end
if isJoin then
  redis.call('ZADD', KEYS[7], 0, user)
  room.users = room.users + 1
end
keepEpoch()

if not isSeen then return reply(transition('none', render(user, view(user)))) end
local isQuiet = isRestore and not known and ARGV[17] ~= '' and ARGV[17] ~= room.epoch
if not isJoin and not isQuiet then return reply(changed(user, before)) end
local after = view(user)
addBytes(after.bytes - before.bytes)
local userJson = render(user, after)
if isJoin then
  announce('"user":' .. userJson, isQuiet)
elseif not room.isOwn then
  local what = changes(user, before, after)
  if what then announce('"devices":' .. what, true) end
end
if isQuiet then return reply(transition('none', userJson)) end
return reply(transition('join', userJson, isOccupied and 'occupied' or nil))
