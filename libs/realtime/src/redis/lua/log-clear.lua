-- Erases all entries and counts on. Follows log-room.lua (its KEYS and ARGV).

if not openLog(false) then return 0 end
eraseStream()
log.start = log.offset
change('start', int(log.offset))
saveLog(redis.call)
return 1
