#include "is_prime.h"

#include "primes.h"

int is_prime(unsigned number)
{
    unsigned low = 0, high = PRIME_COUNT;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (primes[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < PRIME_COUNT && primes[low] == number;
}
