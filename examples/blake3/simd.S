/* The inner loops for this processor; elsewhere nothing, and the portable ones are used. */
#if defined(__x86_64__)
#include "blake3_sse2_x86-64_unix.S"
#include "blake3_sse41_x86-64_unix.S"
#include "blake3_avx2_x86-64_unix.S"
#include "blake3_avx512_x86-64_unix.S"
#elif defined(__ELF__) && defined(__linux__)
.section .note.GNU-stack,"",%progbits
#endif
