-- The number that stands for a reservation: the one that was given, else the next one.
-- KEYS: 1 the link's reservations.  ARGV: 1 owner and id, as compared; 2 owner and id, as spelled
local number = redis.call('HGET', KEYS[1], ARGV[1])
if not number then
  number = redis.call('HINCRBY', KEYS[1], '#', 1)
  redis.call('HSET', KEYS[1], ARGV[1], number, number, ARGV[2])
end
return tonumber(number)
