/* A life of handles, with what callers do wrong between: what valgrind looks at.
 *
 *   life WEIGHTS [IMAGE]
 *
 * Without an image, no device is opened. */
#include <maskrcnn.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WANT(status, call) want(__LINE__, status, call)

static void want(int line, maskrcnn_status status, maskrcnn_status got) {
    if (status == got && (got == MASKRCNN_OK || *maskrcnn_last_error())) return;
    fprintf(stderr, "life.c:%d: %s instead of %s: %s\n", line, maskrcnn_status_name(got), maskrcnn_status_name(status), maskrcnn_last_error());
    exit(1);
}

static maskrcnn_options some(const char *weights) {
    maskrcnn_options options;
    WANT(MASKRCNN_OK, maskrcnn_options_init(&options, sizeof options));
    options.weights = weights;
    return options;
}

/* Opens in vain. */
static void refused(const char *weights) {
    maskrcnn_detector *detector = (maskrcnn_detector *)1;
    maskrcnn_options options = some("nowhere.pth");
    WANT(MASKRCNN_ERROR_IO, maskrcnn_open(&options, &detector));
    options = some("\xff");
    WANT(MASKRCNN_ERROR_ARGUMENT, maskrcnn_open(&options, &detector));
    options = some(weights);
    options.config_json = "{\"box\": {\"score_thresh\": 7}}";
    WANT(MASKRCNN_ERROR_CONFIG, maskrcnn_open(&options, &detector));
    options.config_json = "{";
    WANT(MASKRCNN_ERROR_ARGUMENT, maskrcnn_open(&options, &detector));
    options = some(weights);
    options.has_score_threshold = 1;
    options.score_threshold = (float)NAN;
    WANT(MASKRCNN_ERROR_ARGUMENT, maskrcnn_open(&options, &detector));
    options = some(weights);
    options.struct_size = 3;
    WANT(MASKRCNN_ERROR_ARGUMENT, maskrcnn_open(&options, &detector));
    WANT(MASKRCNN_ERROR_ARGUMENT, maskrcnn_open(NULL, NULL));
    if (detector) exit(3);
}

/* Handles that are none. */
static void strangers(void) {
    int place = 0;
    maskrcnn_results *results = NULL;
    maskrcnn_detection one;
    size_t needed;
    one.struct_size = sizeof one;
    WANT(MASKRCNN_OK, maskrcnn_detector_free(NULL));
    WANT(MASKRCNN_OK, maskrcnn_results_free(NULL));
    WANT(MASKRCNN_ERROR_HANDLE, maskrcnn_detector_free((maskrcnn_detector *)(void *)&place));
    WANT(MASKRCNN_ERROR_HANDLE, maskrcnn_results_free((maskrcnn_results *)(void *)&place));
    WANT(MASKRCNN_ERROR_HANDLE, maskrcnn_results_get((maskrcnn_results *)(void *)&place, 0, &one));
    WANT(MASKRCNN_ERROR_HANDLE, maskrcnn_mask_rle(NULL, 0, NULL, 0, &needed));
    WANT(MASKRCNN_ERROR_HANDLE, maskrcnn_detect_file(NULL, "nowhere", &results));
    WANT(MASKRCNN_ERROR_HANDLE, maskrcnn_warm_up(NULL, 1, 1));
    if (maskrcnn_results_count(NULL) || results) exit(3);
}

/* Each answer in memory of its exact size. */
static void ask(const maskrcnn_results *results, size_t index) {
    maskrcnn_results_info info;
    maskrcnn_detection one;
    size_t needed = 0, length;
    char *text;
    unsigned char *bytes;
    uint32_t *words;
    info.struct_size = sizeof info;
    WANT(MASKRCNN_OK, maskrcnn_results_get_info(results, &info));
    one.struct_size = sizeof one;
    WANT(MASKRCNN_OK, maskrcnn_results_get(results, index, &one));
    WANT(MASKRCNN_OK, maskrcnn_results_class_name(results, one.label, NULL, 0, &needed));
    text = malloc(needed);
    WANT(MASKRCNN_OK, maskrcnn_results_class_name(results, one.label, text, needed, NULL));
    WANT(MASKRCNN_ERROR_BUFFER, maskrcnn_results_class_name(results, one.label, text, needed - 1, NULL));
    if (strlen(text) + 1 != needed) exit(3);
    free(text);
    WANT(MASKRCNN_OK, maskrcnn_results_coco_json(results, "7", NULL, 0, &needed));
    text = malloc(needed);
    WANT(MASKRCNN_OK, maskrcnn_results_coco_json(results, "7", text, needed, NULL));
    if (strlen(text) + 1 != needed) exit(3);
    free(text);
    WANT(MASKRCNN_OK, maskrcnn_mask_rle(results, index, NULL, 0, &needed));
    words = malloc(needed * sizeof *words);
    WANT(MASKRCNN_OK, maskrcnn_mask_rle(results, index, words, needed, NULL));
    free(words);
    WANT(MASKRCNN_OK, maskrcnn_mask_bits(results, index, MASKRCNN_EXTENT_RECTANGLE, NULL, 0, &needed));
    words = malloc(needed * sizeof *words);
    WANT(MASKRCNN_OK, maskrcnn_mask_bits(results, index, MASKRCNN_EXTENT_RECTANGLE, words, needed, NULL));
    free(words);
    length = ((size_t)info.width + 3) * (info.height - 1) + info.width;
    bytes = malloc(length);
    WANT(MASKRCNN_OK, maskrcnn_mask_bytes(results, index, MASKRCNN_EXTENT_IMAGE, 1, bytes, length, info.width + 3));
    WANT(MASKRCNN_ERROR_BUFFER, maskrcnn_mask_bytes(results, index, MASKRCNN_EXTENT_IMAGE, 1, bytes, length - 1, info.width + 3));
    free(bytes);
    length = (size_t)info.width * info.height;
    words = malloc(length * sizeof *words);
    WANT(MASKRCNN_OK, maskrcnn_results_id_map(results, 0.0f, words, length, info.width));
    free(words);
}

static void detect(const char *weights, const char *path) {
    maskrcnn_options options = some(weights);
    maskrcnn_detector *detector = NULL;
    maskrcnn_results *results = NULL;
    /* Of the file's size, so that nothing is compiled anew; rows 8 bytes apart, the last one without them. */
    const size_t stride = 61 * 4 + 8, length = stride * 47 - 8;
    unsigned char *pixels = malloc(length);
    size_t i, count;
    for (i = 0; i < length; i++) pixels[i] = (unsigned char)(i * i / 7);
    WANT(MASKRCNN_OK, maskrcnn_open(&options, &detector));
    WANT(MASKRCNN_ERROR_HANDLE, maskrcnn_results_free((maskrcnn_results *)(void *)detector));
    WANT(MASKRCNN_OK, maskrcnn_detect_file(detector, path, &results));
    count = maskrcnn_results_count(results);
    if (count < 2) exit(3);
    for (i = 0; i < count; i++) ask(results, i);
    WANT(MASKRCNN_OK, maskrcnn_results_free(results));
    WANT(MASKRCNN_ERROR_HANDLE, maskrcnn_results_free(results));
    WANT(MASKRCNN_ERROR_HANDLE, maskrcnn_mask_rle(results, 0, NULL, 0, &count));
    WANT(MASKRCNN_ERROR_IMAGE, maskrcnn_detect(detector, pixels, length - 1, 61, 47, stride, MASKRCNN_FORMAT_BGRA8, &results));
    WANT(MASKRCNN_ERROR_IMAGE, maskrcnn_detect_encoded(detector, pixels, 4000, &results));
    WANT(MASKRCNN_OK, maskrcnn_detect(detector, pixels, length, 61, 47, stride, MASKRCNN_FORMAT_BGRA8, &results));
    free(pixels);
    WANT(MASKRCNN_OK, maskrcnn_detector_free(detector));
    WANT(MASKRCNN_ERROR_HANDLE, maskrcnn_detector_free(detector));
    WANT(MASKRCNN_ERROR_HANDLE, maskrcnn_warm_up(detector, 61, 47));
    /* Results outlive their detector. */
    (void)maskrcnn_results_count(results);
    WANT(MASKRCNN_OK, maskrcnn_results_free(results));
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    refused(argv[1]);
    strangers();
    if (argc > 2) detect(argv[1], argv[2]);
    maskrcnn_clear_error();
    puts("well");
    return 0;
}
