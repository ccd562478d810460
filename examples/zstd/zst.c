/* zst: compresses or restores one file with libzstd.
   usage: zst compress|restore INPUT OUTPUT */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "zst: %s: %s\n", what, why);
    exit(1);
}

static FILE *open_file(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    return file;
}

static size_t check(const char *what, size_t result)
{
    if (ZSTD_isError(result)) {
        fail(what, ZSTD_getErrorName(result));
    }
    return result;
}

static void write_out(FILE *output, const ZSTD_outBuffer *buffer)
{
    if (fwrite(buffer->dst, 1, buffer->pos, output) != buffer->pos) {
        fail("writing", "the output does not take more");
    }
}

static void compress_file(FILE *input, FILE *output, void *in, size_t in_size, void *out, size_t out_size)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    check("level", ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 3));
    check("checksum", ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1));
    int last = 0;
    while (!last) {
        size_t read = fread(in, 1, in_size, input);
        last = read < in_size;
        ZSTD_inBuffer from = {in, read, 0};
        size_t left;
        do {
            ZSTD_outBuffer to = {out, out_size, 0};
            left = check("compressing", ZSTD_compressStream2(context, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue));
            write_out(output, &to);
        } while (last ? left != 0 : from.pos < from.size);
    }
    ZSTD_freeCCtx(context);
}

static void restore_file(FILE *input, FILE *output, void *in, size_t in_size, void *out, size_t out_size)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    size_t read, left = 1;
    while ((read = fread(in, 1, in_size, input)) > 0) {
        ZSTD_inBuffer from = {in, read, 0};
        while (from.pos < from.size) {
            ZSTD_outBuffer to = {out, out_size, 0};
            left = check("restoring", ZSTD_decompressStream(context, &to, &from));
            write_out(output, &to);
        }
    }
    if (left != 0) {
        fail("restoring", "the input ends too early");
    }
    ZSTD_freeDCtx(context);
}

int main(int argc, char **argv)
{
    int compress = argc == 4 && strcmp(argv[1], "compress") == 0;
    int restore = argc == 4 && strcmp(argv[1], "restore") == 0;
    if (!compress && !restore) {
        fprintf(stderr, "usage: zst compress|restore INPUT OUTPUT\n");
        return 2;
    }
    size_t in_size = ZSTD_CStreamInSize(), out_size = ZSTD_CStreamOutSize();
    void *in = malloc(in_size), *out = malloc(out_size);
    if (in == NULL || out == NULL) {
        fail("starting", "not enough memory");
    }
    FILE *input = open_file(argv[2], "rb"), *output = open_file(argv[3], "wb");
    (compress ? compress_file : restore_file)(input, output, in, in_size, out, out_size);
    if (fclose(output) != 0) {
        perror(argv[3]);
        return 1;
    }
    fclose(input);
    free(in);
    free(out);
    return 0;
}
