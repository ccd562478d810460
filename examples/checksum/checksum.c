/* checksum: prints CRC-32 and Adler-32 of standard input. */

#include <stdio.h>
#include <zlib.h>

int main(void)
{
    unsigned char buffer[1 << 16];
    uLong crc = crc32(0, Z_NULL, 0), adler = adler32(0, Z_NULL, 0);
    size_t length;
    while ((length = fread(buffer, 1, sizeof buffer, stdin)) > 0) {
        crc = crc32(crc, buffer, (uInt)length);
        adler = adler32(adler, buffer, (uInt)length);
    }
    if (ferror(stdin)) {
        perror("checksum");
        return 1;
    }
    printf("crc32 %08lx adler32 %08lx\n", crc, adler);
    return 0;
}
