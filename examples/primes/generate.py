"""Writes primes.c and primes.h: the primes below LIMIT, as a table.

usage: generate.py LIMIT DIRECTORY
"""

import pathlib
import sys


def primes_below(limit):
    sieve = bytearray([1]) * limit
    sieve[:2] = bytes(min(limit, 2))
    for number in range(2, int(limit**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return [number for number in range(limit) if sieve[number]]


def main():
    limit, directory = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    primes = primes_below(limit)
    (directory / "primes.h").write_text(
        f"#define PRIME_LIMIT {limit}\n"
        f"#define PRIME_COUNT {len(primes)}\n"
        "extern const unsigned short primes[PRIME_COUNT];\n"
    )
    rows = (primes[start : start + 12] for start in range(0, len(primes), 12))
    table = "".join("    " + " ".join(f"{prime}," for prime in row) + "\n" for row in rows)
    (directory / "primes.c").write_text(
        '#include "primes.h"\n\n' f"const unsigned short primes[PRIME_COUNT] = {{\n{table}}};\n"
    )


main()
