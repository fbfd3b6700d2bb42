-- One room's log: put before each log script. Every key carries the same hash tag.
--
-- KEYS[1] <prefix>{room}:log   stream, IDs '<offset>-0': t unix ms of the append, m text, x (or none) unix ms at which it expires by itself
-- KEYS[2] <prefix>{room}:logm  hash  epoch, server that counts it, offset of the newest entry, start (highest offset trimmed),
--                              size and ttlMs (retention as last used), last (t of the newest entry), since (no kept entry is older),
--                              forks (ended epochs ever), f<n> '<last offset> <epoch>' of the n-th ended epoch
-- ARGV[1] a fresh epoch, used if the log needs one
-- ARGV[2] size to keep, or 'stored': as last used  ARGV[3] ms to keep
-- ARGV[4] ms that a log outlives its last use  ARGV[5] ended epochs to remember

local DAY, SLACK = 86400000, 3600000
local TRIM_AT_ONCE = 1000

local log = { changes = {} }

local function int(number) return string.format('%.0f', number) end

local function serverId()
  local info = redis.pcall('INFO', 'replication')
  if type(info) ~= 'string' then return '' end -- ACL without +info: no failover is noticed
  -- The role is the first line; plain searches, because this runs in each call.
  log.isReplica = string.find(string.sub(info, 1, 40), 'role:slave', 1, true) ~= nil
  local _, at = string.find(info, 'master_replid:', 1, true)
  return at and string.sub(info, at + 1, at + 40) or ''
end

local function change(field, value)
  if log.meta[field] == value then return end
  log.meta[field] = value
  log.changes[#log.changes + 1] = field
  log.changes[#log.changes + 1] = value
end

-- Another server may have lost the last entries, and counts on: positions of the old epoch are good up to here.
local function fork(server)
  local count = tonumber(log.meta.forks or '0') + 1
  change('f' .. count, int(log.offset) .. ' ' .. log.meta.epoch)
  change('forks', tostring(count))
  change('epoch', ARGV[1])
  change('server', server)
  log.forgotten = 'f' .. (count - tonumber(ARGV[5]))
  log.meta[log.forgotten] = nil
end

-- Never another kind of key, whoever it belongs to: XRANGE says WRONGTYPE then, and ends the script.
local function eraseStream()
  redis.call('XRANGE', KEYS[1], '+', '+')
  redis.call('DEL', KEYS[1])
end

-- False if there is no log and none may be made. Writes nothing but the end of a stream whose numbers nobody knows.
local function openLog(mayCreate)
  local time = redis.call('TIME')
  local flat = redis.call('HGETALL', KEYS[2])
  local meta = {}
  for i = 1, #flat, 2 do meta[flat[i]] = flat[i + 1] end
  local isStored = ARGV[2] == 'stored'
  local hasStream = redis.call('EXISTS', KEYS[1]) == 1
  log.now = time[1] * 1000 + math.floor(time[2] / 1000)
  log.meta = meta
  log.isNew = not meta.epoch
  if log.isNew and hasStream then eraseStream() end
  if log.isNew and not (mayCreate and not isStored) then return false end
  log.offset = tonumber(meta.offset or '0')
  log.start = hasStream and tonumber(meta.start or '0') or log.offset
  log.last = tonumber(meta.last or '0')
  log.since = tonumber(meta.since or '0')
  if not isStored then
    change('size', ARGV[2])
    change('ttlMs', ARGV[3])
  end
  log.size = tonumber(meta.size)
  log.ttlMs = tonumber(meta.ttlMs)
  local server = serverId()
  if log.isNew then
    change('epoch', ARGV[1])
    change('server', server)
  elseif server ~= '' and server ~= meta.server then
    fork(server)
  end
  return true
end

-- The first entry from one offset to another: its offset and its time.
local function firstEntry(from, to)
  local found = redis.call('XRANGE', KEYS[1], int(from), int(to), 'COUNT', 1)[1]
  if not found then return nil end
  return tonumber(string.match(found[1], '^%d+')), tonumber(found[2][2])
end

-- The highest offset that retention leaves out now. Times never fall from entry to entry, so halving finds the border.
local function trimmedTo()
  local start = math.max(log.start, log.offset - log.size)
  local border = log.now - log.ttlMs
  if start >= log.offset or log.since > border then return start end
  local low, at = firstEntry(start + 1, log.offset)
  log.since = log.now
  if not low then return start end
  if at > border then
    log.since = at
    return start
  end
  local high = log.offset + 1
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    local offset, t = firstEntry(middle, high - 1)
    if offset and t <= border then
      low = offset
    else
      high = middle
      if offset then log.since = t end
    end
  end
  return low
end

-- A log without an entry is forgotten sooner: reading makes one for each room that anybody looks at.
local function outlivesMs()
  return math.max(2 * log.ttlMs, log.offset > 0 and tonumber(ARGV[4]) or DAY)
end

-- Writes what changed, and prolongs the log's life, but not at each use: an idle room writes once in an hour.
local function saveLog(call)
  if #log.changes > 0 then
    local reply = call('HSET', KEYS[2], unpack(log.changes))
    if type(reply) == 'table' and reply.err then return reply end
  end
  if log.forgotten then call('HDEL', KEYS[2], log.forgotten) end
  local ttl = outlivesMs()
  if redis.call('PTTL', KEYS[2]) >= ttl then return nil end
  local reply = call('PEXPIRE', KEYS[2], int(ttl + SLACK))
  return type(reply) == 'table' and reply.err and reply or nil
end

-- Ended epochs and their last offsets, flat.
local function forks()
  local count, list = tonumber(log.meta.forks or '0'), {}
  for n = math.max(count - tonumber(ARGV[5]), 0) + 1, count do
    local offset, epoch = string.match(log.meta['f' .. n] or '', '^(%d+) (.+)$')
    if epoch then
      list[#list + 1] = epoch
      list[#list + 1] = offset
    end
  end
  return list
end
