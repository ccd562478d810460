/* count: counts the primes below a number, and compares with what is expected.
   usage: count LIMIT EXPECTED */

#include <stdio.h>
#include <stdlib.h>

#include "is_prime.h"
#include "primes.h"

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: count LIMIT EXPECTED\n");
        return 2;
    }
    unsigned limit = (unsigned)strtoul(argv[1], NULL, 10), count = 0;
    for (unsigned number = 0; number < limit && number < PRIME_LIMIT; number++) {
        count += (unsigned)is_prime(number);
    }
    printf("%u primes below %u\n", count, limit);
    return count == strtoul(argv[2], NULL, 10) ? 0 : 1;
}
