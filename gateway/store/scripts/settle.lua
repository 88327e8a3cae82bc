-- An attempt is over. What was confirmed is remembered in any case; the entry goes only if its ticket is the last one.
-- KEYS: 1 fence; 2 due; 3 tickets; 4 sent; 5 later
-- ARGV: 1 expected fence ('': any); 2 name; 3 ticket; 4 what becomes of sent: 'has', 'hasn't' or 'as before';
--       5 when to look again, ms ('': no need); 6 what the receiver has now
-- Returns 1 if nothing newer is owed, else 0; -1 to a former tenure.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'last') ~= ARGV[1] then return -1 end
if ARGV[4] == 'has' then
  redis.call('HSET', KEYS[4], ARGV[2], ARGV[6])
elseif ARGV[4] == "hasn't" then
  redis.call('HDEL', KEYS[4], ARGV[2])
end
local ticket = redis.call('HGET', KEYS[3], ARGV[2])
if not ticket then return 1 end
if ticket ~= ARGV[3] then return 0 end
redis.call('SREM', KEYS[5], ARGV[2])
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[5], ARGV[2])
else
  redis.call('ZREM', KEYS[2], ARGV[2])
  redis.call('HDEL', KEYS[3], ARGV[2])
end
return 1
