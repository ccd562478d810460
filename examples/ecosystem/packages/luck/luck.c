#include <stdio.h>
#include <time.h>

int main(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    /* The clock is not read more often than in microseconds everywhere. */
    int lucky = now.tv_nsec / 1000 % 2;
    puts(lucky ? "lucky" : "error: no luck this time");
    return !lucky;
}
