-- How far a list has been read, written by whoever has it on lease.
-- KEYS: 1 fence; 2 the state of the list.  ARGV: 1 expected fence ('': any); 2 the state
-- Returns 1; -1 to a former tenure.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'last') ~= ARGV[1] then return -1 end
redis.call('SET', KEYS[2], ARGV[2])
return 1
