/* Finds instances in an image, prints their boxes, and writes the best one's mask as a PGM.
 *
 *   detect IMAGE [MASK.pgm] [WEIGHTS]
 *
 * A PPM (P6, 8 bits) is read here and given as pixels; any other image is left to the library. */
#include <maskrcnn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char *what) {
    fprintf(stderr, "error: %s: %s\n", what, maskrcnn_last_error());
    return 1;
}

/* The pixels of a PPM, RGB; NULL where it is none. */
static unsigned char *read_ppm(const char *path, unsigned *width, unsigned *height, size_t *length) {
    FILE *file = fopen(path, "rb");
    unsigned char *pixels = NULL;
    unsigned most = 0;
    if (!file) return NULL;
    if (fscanf(file, "P6 %u %u %u", width, height, &most) == 3 && most == 255 && fgetc(file) != EOF &&
        *width > 0 && *height > 0 && *width < 65536 && *height < 65536) {
        *length = (size_t)*width * *height * 3;
        pixels = malloc(*length);
        if (pixels && fread(pixels, 1, *length, file) != *length) {
            free(pixels);
            pixels = NULL;
        }
    }
    fclose(file);
    return pixels;
}

static maskrcnn_status detect(maskrcnn_detector *detector, const char *path, maskrcnn_results **results) {
    unsigned width, height;
    size_t length;
    unsigned char *pixels = read_ppm(path, &width, &height, &length);
    maskrcnn_status status;
    if (!pixels) return maskrcnn_detect_file(detector, path, results);
    status = maskrcnn_detect(detector, pixels, length, width, height, (size_t)width * 3, MASKRCNN_FORMAT_RGB8, results);
    free(pixels);
    return status;
}

static int write_mask(const maskrcnn_results *results, size_t index, const char *path) {
    maskrcnn_results_info info;
    unsigned char *mask;
    size_t length;
    FILE *file;
    int written;
    info.struct_size = sizeof info;
    if (maskrcnn_results_get_info(results, &info)) return failed("results");
    length = (size_t)info.width * info.height;
    mask = malloc(length);
    if (!mask) return 1;
    if (maskrcnn_mask_bytes(results, index, MASKRCNN_EXTENT_IMAGE, 255, mask, length, info.width)) {
        free(mask);
        return failed("mask");
    }
    file = fopen(path, "wb");
    written = file && fprintf(file, "P5\n%u %u\n255\n", info.width, info.height) > 0 && fwrite(mask, 1, length, file) == length;
    if (file) written = fclose(file) == 0 && written;
    free(mask);
    if (!written) perror(path);
    return !written;
}

int main(int argc, char **argv) {
    maskrcnn_options options;
    maskrcnn_detector *detector;
    maskrcnn_results *results;
    size_t i, count;
    int code = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: %s IMAGE [MASK.pgm] [WEIGHTS]\n", argv[0]);
        return 2;
    }
    if (maskrcnn_abi_version() != MASKRCNN_ABI_VERSION) {
        fprintf(stderr, "error: compiled for interface %d, linked to %u\n", (int)MASKRCNN_ABI_VERSION, (unsigned)maskrcnn_abi_version());
        return 1;
    }
    maskrcnn_options_init(&options, sizeof options);
    options.weights = argc > 3 ? argv[3] : NULL;
    if (maskrcnn_open(&options, &detector)) return failed("open");
    if (detect(detector, argv[1], &results)) {
        maskrcnn_detector_free(detector);
        return failed("detect");
    }
    count = maskrcnn_results_count(results);
    for (i = 0; i < count; i++) {
        maskrcnn_detection d;
        char name[64] = "?";
        d.struct_size = sizeof d;
        if (maskrcnn_results_get(results, i, &d)) break;
        maskrcnn_results_class_name(results, d.label, name, sizeof name, NULL);
        printf("%s %a %a %a %a %a %lu\n", name, (double)d.score, (double)d.x1, (double)d.y1, (double)d.x2, (double)d.y2, (unsigned long)d.mask_area);
    }
    if (argc > 2 && count > 0) code = write_mask(results, 0, argv[2]);
    maskrcnn_results_free(results);
    maskrcnn_detector_free(detector);
    return code;
}
