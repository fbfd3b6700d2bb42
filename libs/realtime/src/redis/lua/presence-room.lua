-- One room's presence: put before each presence script that writes, behind presence-user.lua (its KEYS).
--
-- ARGV[1] the room's channel
-- ARGV[2] a fresh epoch, used if the room needs one
-- ARGV[3] seconds an empty room keeps its epoch and version
-- ARGV[4] seconds the times of leaving are kept
-- ARGV[5] how many times of leaving are kept
-- ARGV[6] '1': a user's own room, which lists no devices and tells the first connection and the last one only

room.isOwn = ARGV[6] == '1'

local function serverId()
  local info = redis.pcall('INFO', 'replication')
  if type(info) ~= 'string' then return '' end -- ACL without +info
  return string.match(info, 'master_replid:(%x+)') or ''
end

local function isWhole(epoch)
  local connections = redis.call('HLEN', KEYS[1])
  if connections ~= redis.call('ZCARD', KEYS[8]) or connections ~= redis.call('ZCARD', KEYS[3]) then return false end
  if room.users ~= redis.call('ZCARD', KEYS[7]) or (room.users == 0) ~= (connections == 0) then return false end
  if room.users == 0 then return true end
  if not epoch then return false end
  return room.isOwn or (redis.call('ZCARD', KEYS[6]) == connections and redis.call('HLEN', KEYS[5]) > 0)
end

local function openRoom()
  local meta = redis.call('HMGET', KEYS[2], 'e', 'v', 's', 'b')
  room.users = redis.call('HLEN', KEYS[4])
  room.version = tonumber(meta[2] or '0')
  room.bytes = tonumber(meta[4] or '0')
  room.server = serverId()
  -- Keys can be evicted one by one. Half a room is no room: begin again, and the nodes re-add who lives.
  local isGood = isWhole(meta[1])
  local isOtherServer = room.server ~= '' and meta[3] ~= room.server
  room.isFresh = not isGood or not meta[1] or isOtherServer
  room.epoch = room.isFresh and ARGV[2] or meta[1]
  if isGood then return end
  redis.call('DEL', KEYS[1], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8])
  room.users = 0
  room.bytes = 0
  redis.call('HSET', KEYS[2], 'e', room.epoch, 'v', room.version, 's', room.server, 'b', 0)
  redis.call('EXPIRE', KEYS[2], ARGV[3])
end

local function keepEpoch()
  if not room.isFresh then return end
  redis.call('HSET', KEYS[2], 'e', room.epoch, 's', room.server)
  room.isFresh = false
end

local function memberOf(entry)
  return entry.incarnation .. SEPARATOR .. entry.id .. SEPARATOR .. entry.user
end

-- The end of an entry's members in px and py.
local function tailOf(entry)
  return string.format('%0' .. DIGITS .. 'd', entry.number) .. SEPARATOR .. entry.id
end

local function entryOf(id)
  local json = redis.call('HGET', KEYS[1], id)
  if not json then return nil end
  local known = decode(json)
  return {
    id = id,
    user = known.user,
    incarnation = known.incarnation,
    device = known.device,
    meta = known.meta,
    number = known.number,
  }
end

local function save(entry)
  local raw = { entry.user, entry.incarnation, entry.device, entry.meta or false, entry.number }
  redis.call('HSET', KEYS[1], entry.id, cjson.encode(raw))
  redis.call('ZADD', KEYS[8], 0, memberOf(entry))
end

-- A connection joins its device: it is the newest one. In a user's own room a label is only there to be replaced.
local function place(entry)
  local prefix, field, tail = escaped(entry.user), deviceField(entry.user, entry.device), tailOf(entry)
  local rank = '1'
  if not room.isOwn then
    if redis.call('HINCRBY', KEYS[5], field, 1) == 1 then
      redis.call('HINCRBY', KEYS[5], prefix, 1)
      rank = '0'
    end
  end
  redis.call('ZADD', KEYS[3], 0, prefix .. SEPARATOR .. rank .. tail)
  if not room.isOwn or entry.device ~= '' then redis.call('ZADD', KEYS[6], 0, field .. SEPARATOR .. tail) end
end

-- Takes it out again. If it was the oldest of its device, the next one stands for the device.
local function displace(entry)
  local prefix, field, tail = escaped(entry.user), deviceField(entry.user, entry.device), tailOf(entry)
  local from = prefix .. SEPARATOR
  if not room.isOwn or entry.device ~= '' then redis.call('ZREM', KEYS[6], field .. SEPARATOR .. tail) end
  if room.isOwn then
    redis.call('ZREM', KEYS[3], from .. '1' .. tail)
  elseif redis.call('HINCRBY', KEYS[5], field, -1) == 0 then
    redis.call('ZREM', KEYS[3], from .. '0' .. tail)
    if redis.call('HINCRBY', KEYS[5], prefix, -1) > 0 then redis.call('HDEL', KEYS[5], field)
    else redis.call('HDEL', KEYS[5], field, prefix) end
  elseif redis.call('ZREM', KEYS[3], from .. '1' .. tail) == 0 then
    local nextTail = string.sub(first(KEYS[6], field, 1)[1], #field + 2)
    redis.call('ZADD', KEYS[3], 0, from .. '0' .. nextTail)
    redis.call('ZREM', KEYS[3], from .. '1' .. nextTail, from .. '0' .. tail)
  end
end

-- What has to happen to the list of devices that `before` shows for it to be the one of `after`, as JSON: what is dropped first,
-- then what is set, each where it stands or behind the others. Nil: nothing.
local function changes(user, before, after)
  local list, sets = {}, {}
  local kept = 0
  local id = '{"id":' .. cjson.encode(user)
  for _, entry in ipairs(before.devices) do
    local now = after.devices[kept + 1]
    if now and now.device == entry.device then
      kept = kept + 1
      if show(now) ~= show(entry) then sets[#sets + 1] = now end
    else
      list[#list + 1] = id .. ',"drop":' .. cjson.encode(entry.device)
    end
  end
  for i = kept + 1, #after.devices do sets[#sets + 1] = after.devices[i] end
  for i, entry in ipairs(sets) do
    -- The first one shares its item with the last that is dropped.
    local at = (i == 1 and #list > 0) and #list or #list + 1
    list[at] = (list[at] or id) .. ',"set":' .. show(entry)
  end
  if before.more ~= after.more then
    local at = math.max(#list, 1)
    list[at] = (list[at] or id) .. ',"more":' .. string.format('%d', after.more)
  end
  return #list > 0 and '[' .. table.concat(list, '},') .. '}]' or nil
end

local function addBytes(delta)
  if delta == 0 then return end
  room.bytes = redis.call('HINCRBY', KEYS[2], 'b', delta)
end

-- One version and one message on the channel for each change. `what`: `"user":` and the whole user, or `"devices":` and changes.
local function announce(what, isQuiet)
  keepEpoch()
  room.version = redis.call('HINCRBY', KEYS[2], 'v', 1)
  redis.call('PUBLISH', ARGV[1], 'p{"epoch":' .. cjson.encode(room.epoch)
    .. ',"version":' .. string.format('%d', room.version)
    .. ',' .. what
    .. ',"count":' .. string.format('%d', room.users)
    .. ',"bytes":' .. string.format('%d', room.bytes)
    .. (isQuiet and ',"quiet":true' or '') .. '}')
end

local function transition(kind, userJson, flag)
  return '{"kind":"' .. kind .. '","user":' .. userJson .. (flag and ',"' .. flag .. '":true' or '') .. '}'
end

-- Tells how the user is seen now, if anything of it can be seen. A user's own room shows nothing but who is there.
local function changed(user, before)
  local after = view(user)
  local what = not room.isOwn and changes(user, before, after)
  addBytes(after.bytes - before.bytes)
  if not what then return transition('none', render(user, after)) end
  announce('"devices":' .. what)
  return transition('update', render(user, after))
end

-- Takes the user's `ids` that `incarnation` owns out of the room; returns the transition as JSON.
local function remove(user, ids, incarnation)
  local gone = {}
  for _, id in ipairs(ids) do
    local entry = entryOf(id)
    if entry and entry.user == user and entry.incarnation == incarnation then gone[#gone + 1] = entry
    else redis.call('ZREM', KEYS[8], memberOf({ incarnation = incarnation, id = id, user = user })) end
  end
  local before = view(user)
  if #gone == 0 then return transition('none', render(user, before)) end
  for _, entry in ipairs(gone) do
    redis.call('HDEL', KEYS[1], entry.id)
    redis.call('ZREM', KEYS[8], memberOf(entry))
    displace(entry)
  end
  if redis.call('HINCRBY', KEYS[4], user, -#gone) > 0 then return changed(user, before) end
  redis.call('HDEL', KEYS[4], user)
  redis.call('ZREM', KEYS[7], user)
  room.users = room.users - 1
  addBytes(-before.bytes)
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[9], time[1] .. string.format('%03d', math.floor(time[2] / 1000)), user)
  redis.call('ZREMRANGEBYRANK', KEYS[9], 0, -(tonumber(ARGV[5]) + 1))
  redis.call('EXPIRE', KEYS[9], ARGV[4])
  local left = '{"id":' .. cjson.encode(user) .. ',"devices":[]}'
  announce('"user":' .. left)
  if room.users > 0 then return transition('leave', left) end
  redis.call('EXPIRE', KEYS[2], ARGV[3])
  return transition('leave', left, 'empty')
end

-- While a cluster moves the room's slot, a key that this script has emptied belongs to the other server already: a look at
-- it is an error, and means that nothing is left.
local function ownedBy(incarnation, limit)
  local members =
    redis.pcall('ZRANGEBYLEX', KEYS[8], '[' .. incarnation .. SEPARATOR, '(' .. incarnation .. '\32', 'LIMIT', 0, limit)
  return members.err and {} or members
end

local function isLast(incarnation)
  return tostring(#ownedBy(incarnation, 1) == 0)
end

openRoom()
