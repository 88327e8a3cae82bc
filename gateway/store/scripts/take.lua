-- What a receiver has, before something is sent to it: as of now it is only perhaps, until somebody says it again.
-- KEYS: 1 fence; 2 sent; 3 due.  ARGV: 1 expected fence ('': any); 2 name; 3 a time, ms; then names that go before it
-- Returns what was known, nothing if that is nothing, -1 to a former tenure; or, and then nothing is done, a list of
-- those among the names that are due by then.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'last') ~= ARGV[1] then return -1 end
local before = {}
for i = 4, #ARGV do
  local at = redis.call('ZSCORE', KEYS[3], ARGV[i])
  if at and tonumber(at) <= tonumber(ARGV[3]) then before[#before + 1] = ARGV[i] end
end
if #before > 0 then return before end
local known = redis.call('HGET', KEYS[2], ARGV[2])
if not known then return false end
redis.call('HSET', KEYS[2], ARGV[2], string.sub(known, string.find(known, '\n', 1, true), -1))
return known
