/* Whether `number`, which must be below PRIME_LIMIT, is prime. */
int is_prime(unsigned number);
