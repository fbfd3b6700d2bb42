-- Removes entries of a dead incarnation, some at a time, one change for each user. Follows presence-room.lua (its KEYS,
-- and ARGV 1 to 6).
-- ARGV[7] incarnation  ARGV[8] most entries in this call
-- Returns JSON: { transitions, isDone }.

local incarnation, limit = ARGV[7], tonumber(ARGV[8])
local members = ownedBy(incarnation, limit)
local order, ids = {}, {}
for _, member in ipairs(members) do
  local rest = string.sub(member, #incarnation + 2)
  local at = string.find(rest, SEPARATOR, 1, true)
  local user = string.sub(rest, at + 1)
  if not ids[user] then
    ids[user] = {}
    order[#order + 1] = user
  end
  table.insert(ids[user], string.sub(rest, 1, at - 1))
end

local transitions = {}
for _, user in ipairs(order) do
  transitions[#transitions + 1] = remove(user, ids[user], incarnation)
end
return '{"transitions":[' .. table.concat(transitions, ',') .. '],"isDone":' .. tostring(#members < limit) .. '}'
