-- A CDR goes from one state to another, if it is where the caller believes it to be.
-- KEYS: 1 the entry; 2 CDRs not delivered; 3 CDRs delivered
-- ARGV: 1 this move's own mark; 2 name; 3 from: ',pending,held,'; 4 to; 5 now, ms; 6.. fields and values
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 0 end
if redis.call('HGET', KEYS[1], 'by') == ARGV[1] then
  return 1 -- the client repeats a move whose answer was lost
end
if not string.find(ARGV[3], ',' .. state .. ',', 1, true) then return 0 end

redis.call('HSET', KEYS[1], 'state', ARGV[4], 'moved', ARGV[5], 'by', ARGV[1], unpack(ARGV, 6))
if ARGV[4] == 'in_flight' then redis.call('HINCRBY', KEYS[1], 'attempts', 1) end
if ARGV[4] == 'delivered' then
  redis.call('ZREM', KEYS[2], ARGV[2])
  redis.call('ZADD', KEYS[3], ARGV[5], ARGV[2])
else
  local at = ARGV[4] == 'pending' and redis.call('HGET', KEYS[1], 'at') or '+inf'
  redis.call('ZREM', KEYS[3], ARGV[2])
  redis.call('ZADD', KEYS[2], at, ARGV[2])
end
return 1
