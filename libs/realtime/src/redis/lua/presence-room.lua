-- One room's presence: put before each presence script that writes. Every key carries the same hash tag.
--
-- KEYS[1] <prefix>{room}:p   hash  user id -> JSON { connection id: { i incarnation, d device, m metadata as a JSON string, n order } }
-- KEYS[2] <prefix>{room}:pm  hash  e epoch, v version, s server that counts it, q entries ever made, b bytes of metadata
-- KEYS[3] <prefix>{room}:pi  zset  "incarnation US connection id US user id", all scores 0: what one incarnation owns is a range
-- KEYS[4] <prefix>{room}:pu  zset  user ids, all scores 0: pages in a stable order
-- KEYS[5] <prefix>{room}:pl  zset  user ids by the time at which they left
-- ARGV[1] the room's channel
-- ARGV[2] a fresh epoch, used if the room needs one
-- ARGV[3] seconds an empty room keeps its epoch and version
-- ARGV[4] seconds the times of leaving are kept
-- ARGV[5] how many times of leaving are kept

local SEPARATOR = '\31'

local room = {}

local function serverId()
  local info = redis.pcall('INFO', 'replication')
  if type(info) ~= 'string' then return '' end -- ACL without +info
  return string.match(info, 'master_replid:(%x+)') or ''
end

local function openRoom()
  local meta = redis.call('HMGET', KEYS[2], 'e', 'v', 's', 'b')
  local owned = redis.call('ZCARD', KEYS[3])
  room.users = redis.call('HLEN', KEYS[1])
  room.version = tonumber(meta[2] or '0')
  room.bytes = tonumber(meta[4] or '0')
  room.server = serverId()
  -- Keys can be evicted one by one. Half a room is no room: begin again, and the nodes re-add who lives.
  local isWhole = room.users == redis.call('ZCARD', KEYS[4])
    and (room.users == 0) == (owned == 0)
    and (room.users == 0 or (meta[1] and true or false))
  local isOtherServer = room.server ~= '' and meta[3] ~= room.server
  room.isFresh = not isWhole or not meta[1] or isOtherServer
  room.epoch = room.isFresh and ARGV[2] or meta[1]
  if isWhole then return end
  redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
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

local function connectionsOf(user)
  local json = redis.call('HGET', KEYS[1], user)
  if not json then return nil end
  return cjson.decode(json)
end

local function memberOf(incarnation, connection, user)
  return incarnation .. SEPARATOR .. connection .. SEPARATOR .. user
end

-- PresenceUser as JSON. Metadata passes as the text that it came as: cjson would turn [] into {}.
local function render(user, connections)
  local list = {}
  for _, entry in pairs(connections or {}) do list[#list + 1] = entry end
  table.sort(list, function(a, b) return a.n < b.n end)
  local places, devices = {}, {}
  for _, entry in ipairs(list) do
    local place = places[entry.d] or #devices + 1
    places[entry.d] = place
    devices[place] = '{"device":' .. cjson.encode(entry.d) .. (entry.m and ',"meta":' .. entry.m or '') .. '}'
  end
  return '{"id":' .. cjson.encode(user) .. ',"devices":[' .. table.concat(devices, ',') .. ']}'
end

local function addBytes(delta)
  if delta == 0 then return end
  room.bytes = redis.call('HINCRBY', KEYS[2], 'b', delta)
end

-- One version and one message on the channel for each change.
local function announce(userJson, isQuiet)
  keepEpoch()
  room.version = redis.call('HINCRBY', KEYS[2], 'v', 1)
  redis.call('PUBLISH', ARGV[1], 'p{"epoch":' .. cjson.encode(room.epoch)
    .. ',"version":' .. string.format('%d', room.version)
    .. ',"user":' .. userJson
    .. ',"count":' .. string.format('%d', room.users)
    .. ',"bytes":' .. string.format('%d', room.bytes)
    .. (isQuiet and ',"quiet":true' or '') .. '}')
end

local function transition(kind, userJson, flag)
  return '{"kind":"' .. kind .. '","user":' .. userJson .. (flag and ',"' .. flag .. '":true' or '') .. '}'
end

-- Takes the user's `ids` that `incarnation` owns out of the room; returns the transition as JSON.
local function remove(user, ids, incarnation)
  local connections = connectionsOf(user)
  local before = render(user, connections)
  local bytes, removed = 0, 0
  for _, id in ipairs(ids) do
    redis.call('ZREM', KEYS[3], memberOf(incarnation, id, user))
    local entry = connections and connections[id]
    if entry and entry.i == incarnation then
      bytes = bytes - #(entry.m or '')
      removed = removed + 1
      connections[id] = nil
    end
  end
  if removed == 0 then return transition('none', before) end
  if next(connections) ~= nil then
    redis.call('HSET', KEYS[1], user, cjson.encode(connections))
    addBytes(bytes)
    local after = render(user, connections)
    if after == before then return transition('none', after) end
    announce(after)
    return transition('update', after)
  end
  redis.call('HDEL', KEYS[1], user)
  redis.call('ZREM', KEYS[4], user)
  room.users = room.users - 1
  addBytes(bytes)
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[5], time[1] .. string.format('%03d', math.floor(time[2] / 1000)), user)
  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -(tonumber(ARGV[5]) + 1))
  redis.call('EXPIRE', KEYS[5], ARGV[4])
  local after = render(user, nil)
  announce(after)
  if room.users > 0 then return transition('leave', after) end
  redis.call('EXPIRE', KEYS[2], ARGV[3])
  return transition('leave', after, 'empty')
end

-- While a cluster moves the room's slot, a key that this script has emptied belongs to the other server already: a look at
-- it is an error, and means that nothing is left.
local function ownedBy(incarnation, limit)
  local members =
    redis.pcall('ZRANGEBYLEX', KEYS[3], '[' .. incarnation .. SEPARATOR, '(' .. incarnation .. '\32', 'LIMIT', 0, limit)
  return members.err and {} or members
end

local function isLast(incarnation)
  return tostring(#ownedBy(incarnation, 1) == 0)
end

openRoom()
