-- Exercises the parser, closures, strings, tables, coroutines and the maths library.
local function fibonacci()
  local a, b = 0, 1
  return coroutine.wrap(function()
    while true do
      coroutine.yield(a)
      a, b = b, a + b
    end
  end)
end

local numbers = {}
local next_number = fibonacci()
for i = 1, 10 do
  numbers[i] = next_number()
end

local line = table.concat(numbers, " ")
assert(line == "0 1 1 2 3 5 8 13 21 34", line)
assert(string.format("%.5f", math.pi) == "3.14159")
assert(("larder"):upper():reverse() == "REDRAL")
print("hello from " .. _VERSION .. ": " .. line)
