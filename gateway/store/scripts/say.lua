-- An object is written, and who is owed it, in one step: an acknowledged object is never forgotten on the way out.
-- KEYS: 1 the name's record, which holds the sequence; 2 the record to write (the same, or a variant);
--       3 the fan-out note; 4 the owner's notes; 5 the owner's objects of this module; 6 the rank given last among them
-- ARGV: 1 expected sequence ('': any, 0: the record must not exist); 2 this write's own mark; 3 name; 4 now, ms;
--       5 '1': it is deleted; 6 how many fields and values follow, then these, then the links
-- Returns the new sequence, or -1 when the expectation is wrong.
local seq = tonumber(redis.call('HGET', KEYS[1], 'seq') or 0)
if redis.call('HGET', KEYS[1], 'by') == ARGV[2] then
  return seq -- the client repeats a write whose answer was lost
end
if ARGV[1] == '0' then
  if redis.call('HEXISTS', KEYS[2], 'at') == 1 then return -1 end
elseif ARGV[1] ~= '' and tonumber(ARGV[1]) ~= seq then
  return -1
end

seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('HSET', KEYS[1], 'by', ARGV[2])
local fields = tonumber(ARGV[6])
local variant, deleted = KEYS[2] ~= KEYS[1], ARGV[5] == '1'
local was_there = redis.call('HGET', KEYS[2], 'deleted') == '0'
if variant and deleted and redis.call('HEXISTS', KEYS[1], 'at') == 1 then
  redis.call('DEL', KEYS[2]) -- there is a general object to show instead
else
  redis.call('HSET', KEYS[2], unpack(ARGV, 7, 6 + fields))
end

-- The name is listed while anybody may have the object: the general one, or a variant.
if variant and was_there == deleted then redis.call('HINCRBY', KEYS[1], 'variants', deleted and -1 or 1) end
local variants = tonumber(redis.call('HGET', KEYS[1], 'variants') or 0)
if redis.call('HGET', KEYS[1], 'deleted') ~= '0' and variants == 0 then
  redis.call('ZREM', KEYS[5], ARGV[3])
elseif not redis.call('ZSCORE', KEYS[5], ARGV[3]) then
  redis.call('ZADD', KEYS[5], redis.call('INCR', KEYS[6]), ARGV[3])
end

if #ARGV > 6 + fields then
  for i = 7 + fields, #ARGV do redis.call('HSET', KEYS[3], ARGV[i], '1') end
  redis.call('HSET', KEYS[3], '#', seq)
  redis.call('ZADD', KEYS[4], 'NX', ARGV[4], ARGV[3])
end
return seq
