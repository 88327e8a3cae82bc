-- An object is written, and who is owed it, in one step: an acknowledged object is never forgotten on the way out.
-- KEYS: 1 what lies under the name, which begins with the sequence; 2 where the record goes (the same, or a variant);
--       3 the fan-out note; 4 the owner's notes; 5 the owner's objects of this module; 6 the rank given last among them
-- ARGV: 1 expected sequence ('': any, 0: there must be no such record); 2 this write's own mark; 3 name; 4 now, ms;
--       5 the record, which begins with '+', or '-' if it is deleted; 6 channel and 7 what to say there ('': nothing);
--       then the links
-- Returns the new sequence, or -1 when the expectation is wrong.
local HEAD, SIZE = '>I8c9I4', 21
local stored = redis.call('GETRANGE', KEYS[1], 0, SIZE) -- and the first byte of the general object
local seq, by, variants = 0, '', 0
if stored ~= '' then seq, by, variants = struct.unpack(HEAD, stored) end
if by == ARGV[2] then
  return seq -- the client repeats a write whose answer was lost
end
local general, variant = string.sub(stored, SIZE + 1), KEYS[2] ~= KEYS[1]
local was = variant and redis.call('GETRANGE', KEYS[2], 0, 0) or general
if ARGV[1] == '0' then
  if was ~= '' then return -1 end
elseif ARGV[1] ~= '' and tonumber(ARGV[1]) ~= seq then
  return -1
end

seq = seq + 1
local is = string.sub(ARGV[5], 1, 1)
if variant and (was == '+') ~= (is == '+') then variants = variants + (is == '+' and 1 or -1) end
local head = struct.pack(HEAD, seq, ARGV[2], variants)
if not variant then
  redis.call('SET', KEYS[1], head .. ARGV[5])
  general = is
else
  redis.call('SETRANGE', KEYS[1], 0, head)
  if is == '-' and general ~= '' then
    redis.call('DEL', KEYS[2]) -- there is a general object to show instead
  else
    redis.call('SET', KEYS[2], ARGV[5])
  end
end

-- The name is listed while anybody may have the object: the general one, or a variant.
if general ~= '+' and variants == 0 then
  redis.call('ZREM', KEYS[5], ARGV[3])
elseif not redis.call('ZSCORE', KEYS[5], ARGV[3]) then
  redis.call('ZADD', KEYS[5], redis.call('INCR', KEYS[6]), ARGV[3])
end

if #ARGV > 7 then
  for i = 8, #ARGV do redis.call('HSET', KEYS[3], ARGV[i], '1') end
  redis.call('HSET', KEYS[3], '#', seq)
  redis.call('ZADD', KEYS[4], 'NX', ARGV[4], ARGV[3])
end
-- From in here, so that whoever hears it and looks finds what was written, in a cluster too.
if ARGV[6] ~= '' then redis.call('PUBLISH', ARGV[6], ARGV[7]) end
return seq
