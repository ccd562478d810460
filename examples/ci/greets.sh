# Runs the program that it is given, and compares.
test "$("$1")" = "hello, world"
