#include <stdio.h>

#include "greeting.h"
#include "separator.h"

int main(void) {
    printf("%s%sworld\n", greeting(), separator());
    return 0;
}
