-- Where a log stands, and one page of it. Follows log-room.lua (its KEYS and ARGV); makes the log if there is none.
-- ARGV[6] read forwards after this offset, or '': backwards from the newest  ARGV[7] read below this offset, or ''
-- ARGV[8] most entries, -1: only where the log stands  ARGV[9] most bytes of text
-- ARGV[10] entries and ARGV[11] bytes that pages before have given  ARGV[12] most entries to look at
-- Returns { epoch, offset, start, { epoch, last offset... }, more, { offset, text... } }
-- more: 'end', 'cut' (at a limit), or the offset from which to look on

openLog(true)
if log.isReplica then return redis.error_reply('READONLY a replica may be behind') end
-- A server that takes no writes, for want of memory or replicas, can still be read.
local reply = saveLog(log.isNew and redis.call or redis.pcall)
local isForked = log.forgotten ~= nil
if reply and (isForked or not (string.find(reply.err, 'OOM', 1, true) or string.find(reply.err, 'NOREPLICAS', 1, true)
    or string.find(reply.err, 'MISCONF', 1, true))) then
  return reply
end

local start = trimmedTo()
local limit, maxBytes = tonumber(ARGV[8]), tonumber(ARGV[9])
local count, bytes = tonumber(ARGV[10]), tonumber(ARGV[11])
local isForward = ARGV[6] ~= ''
local from = isForward and math.max(tonumber(ARGV[6]), start) + 1 or start + 1
local to = ARGV[7] ~= '' and math.min(tonumber(ARGV[7]) - 1, log.offset) or log.offset
local more, entries = 'end', {}

local function take(entry)
  local offset = string.match(entry[1], '^%d+')
  if isForward then from = tonumber(offset) + 1 else to = tonumber(offset) - 1 end
  local text, expiresAt = entry[2][4], entry[2][6]
  if expiresAt and tonumber(expiresAt) <= log.now then return end
  if count >= limit or (count > 0 and bytes + #text > maxBytes) then
    more = 'cut'
    return
  end
  count = count + 1
  bytes = bytes + #text
  entries[#entries + 1] = offset
  entries[#entries + 1] = text
end

local looked, chunk = 0, 8
while limit >= 0 and more == 'end' and from <= to do
  local found
  if isForward then
    found = redis.call('XRANGE', KEYS[1], int(from), int(to), 'COUNT', chunk)
  else
    found = redis.call('XREVRANGE', KEYS[1], int(to), int(from), 'COUNT', chunk)
  end
  for _, entry in ipairs(found) do
    if more == 'end' then take(entry) end
  end
  if #found < chunk then break end
  looked = looked + chunk
  chunk = math.min(chunk * 2, 128)
  if more == 'end' and looked >= tonumber(ARGV[12]) then more = int(isForward and from - 1 or to + 1) end
end
return { log.meta.epoch, int(log.offset), int(start), forks(), more, entries }
