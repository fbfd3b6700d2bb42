-- New metadata for an entry that the incarnation owns. Follows presence-room.lua (its KEYS, and ARGV 1 to 6).
-- ARGV[7] user id  ARGV[8] connection id  ARGV[9] incarnation  ARGV[10] metadata as JSON, or '' for none
-- Returns JSON: the transition.

local user = ARGV[7]
local meta = ARGV[10] ~= '' and ARGV[10] or false
local entry = entryOf(ARGV[8])
local before = view(user)
local isOwned = entry and entry.user == user and entry.incarnation == ARGV[9]
if not isOwned or entry.meta == meta then return transition('none', render(user, before)) end

entry.meta = meta
save(entry)
return changed(user, before)
