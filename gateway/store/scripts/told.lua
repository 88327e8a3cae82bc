-- What a feed tells of an EVSE changes, unless somebody else has changed it since it was looked at.
-- KEYS: 1 what it has told.  ARGV: 1 EVSE, 2 what it had told ('': nothing), 3 what it tells now ('': nothing)
-- Returns 1 if that is what stands there now.
local there = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if there == ARGV[3] then return 1 end  -- a repetition
if there ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1
