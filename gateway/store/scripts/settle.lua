-- An attempt is over. What was confirmed is remembered in any case; the entry goes only if its ticket is the last one.
-- KEYS: 1 due; 2 tickets; 3 sent.  ARGV: 1 name; 2 ticket; 3 what the receiver has now ('': nothing known);
--       4 when to look again, ms ('': no need).  Returns 1 if nothing newer is owed.
if ARGV[3] ~= '' then redis.call('HSET', KEYS[3], ARGV[1], ARGV[3]) end
local ticket = redis.call('HGET', KEYS[2], ARGV[1])
if not ticket then return 1 end
if ticket ~= ARGV[2] then return 0 end
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
else
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
end
return 1
