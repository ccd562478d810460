/* The inner loops for processors with SSE2; nothing where the architecture is another. */
#if defined(__x86_64__)
#include "blake3_sse2_x86-64_unix.S"
#elif defined(__ELF__) && defined(__linux__)
.section .note.GNU-stack,"",%progbits
#endif
