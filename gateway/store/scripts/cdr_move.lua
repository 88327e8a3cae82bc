-- A CDR goes from one state to another, if it is where the caller believes it to be.
-- KEYS: 1 fence; 2 the entry; 3 CDRs not done; 4 CDRs done; 5 counts; 6 changes
-- ARGV: 1 expected fence ('': any); 2 this move's own mark; 3 name; 4 from: ',pending,held,'; 5 to; 6 now, ms;
--       7 at, ms ('': as it was, or now); 8 changes are kept, ms; 9 reason; 10 who; 11.. further fields and values
-- Returns 1 if it went, else 0; -1 to a former tenure.
local from = redis.call('HGET', KEYS[2], 'state')
if not from then return 0 end
if redis.call('HGET', KEYS[2], 'by') == ARGV[2] then
  return 1 -- the client repeats a move whose answer was lost
end
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'last') ~= ARGV[1] then return -1 end
if not string.find(ARGV[4], ',' .. from .. ',', 1, true) then return 0 end

-- No value is longer than 64 bytes, since one that is would double what the whole entry takes: the rest of a long text
-- goes into further fields.
local function write(field, text)
  local part, place = field, 0
  while text ~= '' do
    redis.call('HSET', KEYS[2], part, string.sub(text, 1, 64))
    text, place = string.sub(text, 65), place + 1
    part = field .. place
  end
  while redis.call('HDEL', KEYS[2], part) == 1 do
    place = place + 1
    part = field .. place
  end
end

local to, at = ARGV[5], ARGV[7]
redis.call('HSET', KEYS[2], 'state', to, 'moved', ARGV[6], 'by', ARGV[2])
if to == 'in_flight' then redis.call('HINCRBY', KEYS[2], 'attempts', 1) end
if to == 'pending' and from ~= 'pending' and from ~= 'in_flight' then -- a person sends it again: it begins anew
  redis.call('HSET', KEYS[2], 'owed', ARGV[6])
  write('since', '')
end
write('reason', ARGV[9])
write('who', ARGV[10])
for i = 11, #ARGV, 2 do write(ARGV[i], ARGV[i + 1]) end

if to == 'delivered' or to == 'dropped' then
  redis.call('ZREM', KEYS[3], ARGV[3])
  redis.call('ZADD', KEYS[4], ARGV[6], ARGV[3])
else
  redis.call('ZREM', KEYS[4], ARGV[3])
  if to == 'in_flight' then at = '-inf' elseif to ~= 'pending' then at = '+inf' end
  if at == '' and from ~= 'pending' then at = ARGV[6] end
  if at ~= '' then redis.call('ZADD', KEYS[3], at, ARGV[3]) end
end

if from ~= to then
  redis.call('HINCRBY', KEYS[5], from, -1)
  redis.call('HINCRBY', KEYS[5], to, 1)
  local attempts = redis.call('HGET', KEYS[2], 'attempts')
  -- All changes have the same fields in the same order, but for those that a person made: a stream keeps the words once.
  local change = {'name', string.sub(ARGV[3], #'cdrs:' + 1), 'from', string.sub(from, 1, 4), 'to', string.sub(to, 1, 4),
    'attempts', attempts, 'reason', ARGV[9]}
  if ARGV[10] ~= '' then
    change[#change + 1] = 'who'
    change[#change + 1] = ARGV[10]
  end
  local id = redis.call('XADD', KEYS[6], '*', unpack(change))
  redis.call('XTRIM', KEYS[6], 'MINID', '~', string.match(id, '%d+') - ARGV[8])
end
return 1
