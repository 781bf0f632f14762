/* Calls at random, from two threads, with whatever can be passed: handles that live, that were freed, of the other kind, made up and null;
 * sizes that fit and that do not; text that is none. Buffers end at a page that nobody may touch, and what lies before them is
 * looked at after each call; what is only read is read-only.
 *
 *   fuzz SECONDS SEED WEIGHTS IMAGE
 *
 * The program ends with 0 if every call was answered as it has to be, and is killed by the system where one went beyond. */
#define _GNU_SOURCE
#include <maskrcnn.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define THREADS 2
#define POOL 24
#define STALE 64
#define PAGE 4096u
#define FILL 0xa5

typedef struct {
    unsigned char *base, *data;
    size_t mapped, length;
} guarded;

typedef struct {
    uint64_t random;
    void *stale[STALE]; /* Freed by this thread: nobody may be answered by them. */
    unsigned stales;
    unsigned long calls, answered[200];
} fuzzer;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *detectors[POOL], *found[POOL];
static const char *weights, *image;
static unsigned char *file;
static size_t file_length;
static time_t deadline;

static void fail(const char *what) {
    fprintf(stderr, "fuzz: %s; last error: %s\n", what, maskrcnn_last_error());
    abort();
}

static uint64_t next(fuzzer *f) {
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random * 0x2545f4914f6cdd1dull >> 16;
}
static size_t below(fuzzer *f, size_t n) { return (size_t)(next(f) % n); }
static int one_in(fuzzer *f, size_t n) { return below(f, n) == 0; }

static guarded guard(size_t length) {
    guarded g;
    size_t room = (length + PAGE - 1) / PAGE * PAGE + PAGE;
    g.mapped = room + PAGE;
    g.length = length;
    g.base = mmap(NULL, g.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.base == MAP_FAILED) fail("no memory");
    memset(g.base, FILL, room);
    if (mprotect(g.base + room, PAGE, PROT_NONE)) fail("mprotect");
    g.data = g.base + room - length;
    return g;
}
static void read_only(guarded *g) {
    if (mprotect(g->base, g->mapped - PAGE, PROT_READ)) fail("mprotect");
}
static void release(guarded *g) {
    const unsigned char *p;
    for (p = g->data; p-- > g->base && p + 64 > g->data;)
        if (*p != FILL) fail("written before a buffer");
    munmap(g->base, g->mapped);
}
static int untouched(const guarded *g) {
    size_t i;
    for (i = 0; i < g->length; i++)
        if (g->data[i] != FILL) return 0;
    return 1;
}

/* A length of, or near to, what is right, or one that no buffer has; `room` says how much there is. */
static size_t about(fuzzer *f, size_t right) {
    switch (below(f, 8)) {
        case 0: return right ? right - 1 : 0;
        case 1: return right + 1 + below(f, 8);
        case 2: return below(f, right + 1);
        default: return right;
    }
}

static const char *text(fuzzer *f) {
    static const char *const all[] = {"", "nowhere", "/", "\xff\xfe", "a\xc3", "007", "{}", "[[[[[[", "\xf0\x9f\x98\x80", "%s%n",
        "{\"box\": {\"detections_per_img\": 2}}", "{\"box\": {\"score_thresh\": 2}}", "{\"num_classes\": 99999999999}", "{\"mask\": null}", "null"};
    switch (below(f, 6)) {
        case 0: return NULL;
        case 1: return image;
        case 2: return weights;
        default: return all[below(f, sizeof all / sizeof *all)];
    }
}

/* A handle, and whether it is known to be none. */
static void *handle(fuzzer *f, void **own, void **other, int *none) {
    void *h = NULL;
    size_t how = below(f, 20), i;
    *none = 1;
    if (how == 0) return NULL;
    if (how == 1) return (void *)(uintptr_t)next(f);
    if (how <= 3 && f->stales) return f->stale[below(f, f->stales < STALE ? f->stales : STALE)];
    pthread_mutex_lock(&lock);
    for (i = 0; i < POOL && !h; i++) h = (how == 4 ? other : own)[below(f, POOL)];
    pthread_mutex_unlock(&lock);
    *none = how == 4 || h == NULL;
    return h;
}

/* Keeps a new handle, and frees what was in its place. */
static void keep(fuzzer *f, void **pool, void *new, size_t places) {
    void *old;
    size_t at = below(f, places);
    pthread_mutex_lock(&lock);
    old = pool[at];
    pool[at] = new;
    pthread_mutex_unlock(&lock);
    if (!old) return;
    if ((pool == found ? maskrcnn_results_free(old) : maskrcnn_detector_free(old)) != MASKRCNN_OK) fail("a handle that lives was not freed");
    f->stale[f->stales++ % STALE] = old;
}

static maskrcnn_status judge(fuzzer *f, maskrcnn_status status, int none) {
    if (status < 0 || status > 199 || !strcmp(maskrcnn_status_name(status), "unknown")) fail("no such status");
    if (status == MASKRCNN_ERROR_PANIC || status == MASKRCNN_ERROR_POISONED || status == MASKRCNN_ERROR_INTERNAL) fail("a mistake of the library's");
    if (none && status == MASKRCNN_OK) fail("a handle that is none was taken");
    if (status != MASKRCNN_OK && (!*maskrcnn_last_error() || maskrcnn_last_status() != status)) fail("an error without words");
    f->calls++;
    f->answered[status]++;
    return status;
}

static void open_one(fuzzer *f) {
    maskrcnn_detector *d = (void *)1;
    guarded o = guard(sizeof(maskrcnn_options));
    maskrcnn_options *options = (void *)o.data;
    static const float thresholds[] = {0.0f, 0.5f, -1.0f, 2.0f};
    maskrcnn_options_init(options, sizeof *options);
    options->weights = one_in(f, 3) ? text(f) : weights;
    if (!options->weights && !one_in(f, 20)) options->weights = weights;
    if (one_in(f, 3)) options->config_json = text(f);
    if (one_in(f, 6)) options->device = text(f);
    if (one_in(f, 4)) options->precision = (int32_t)below(f, 5) - 1;
    if (one_in(f, 4)) options->boxes_only = (int32_t)below(f, 4) - 1;
    if (one_in(f, 4)) options->has_score_threshold = (int32_t)below(f, 3);
    if (one_in(f, 4)) options->score_threshold = one_in(f, 4) ? (float)NAN : thresholds[below(f, 4)];
    if (one_in(f, 8)) options->struct_size = (size_t)next(f) >> below(f, 64);
    /* What is beyond the struct is not there. */
    if (options->struct_size > sizeof *options && options->struct_size <= PAGE) options->struct_size = sizeof *options;
    read_only(&o);
    if (judge(f, maskrcnn_open(options, &d), 0) == MASKRCNN_OK) keep(f, detectors, d, 4);
    else if (d) fail("a handle of nothing");
    release(&o);
}

static void detect_one(fuzzer *f) {
    int none;
    maskrcnn_results *r = (void *)1;
    const maskrcnn_detector *d = handle(f, detectors, found, &none);
    static const size_t bytes[] = {3, 4, 3, 4, 1};
    int32_t format = (int32_t)below(f, 5);
    uint32_t width = 1 + (uint32_t)below(f, 70), height = 1 + (uint32_t)below(f, 70);
    size_t row = width * bytes[format], stride = row + (one_in(f, 2) ? below(f, 9) : 0), i, length;
    guarded g;
    maskrcnn_status status;
    if (one_in(f, 20)) stride = about(f, row);
    length = stride * (height - 1) + row;
    if (one_in(f, 10)) length = about(f, length);
    g = guard(length);
    for (i = 0; i < length; i++) g.data[i] = (unsigned char)(next(f) >> 3 & (one_in(f, 3) ? 255 : 31));
    read_only(&g);
    if (one_in(f, 20)) width = (uint32_t)next(f);
    if (one_in(f, 20)) height = (uint32_t)next(f) >> below(f, 32);
    if (one_in(f, 20)) stride = (size_t)next(f) << below(f, 20);
    if (one_in(f, 20)) format = (int32_t)next(f);
    status = maskrcnn_detect(d, one_in(f, 50) ? NULL : g.data, length, width, height, stride, format, &r);
    if (judge(f, status, none) == MASKRCNN_OK) keep(f, found, r, POOL);
    else if (r) fail("a handle of nothing");
    release(&g);
}

static void read_one(fuzzer *f) {
    int none;
    maskrcnn_results *r = (void *)1;
    const maskrcnn_detector *d = handle(f, detectors, found, &none);
    maskrcnn_status status;
    if (one_in(f, 2)) {
        status = judge(f, maskrcnn_detect_file(d, one_in(f, 3) ? text(f) : image, &r), none);
    } else {
        size_t length = one_in(f, 2) ? file_length : below(f, file_length), i;
        guarded g = guard(length);
        memcpy(g.data, file, length);
        for (i = below(f, 4); i-- > 0 && length > 0;) g.data[below(f, length)] ^= (unsigned char)next(f);
        read_only(&g);
        status = judge(f, maskrcnn_detect_encoded(d, g.data, length, &r), none);
        release(&g);
    }
    if (status == MASKRCNN_OK) keep(f, found, r, POOL);
    else if (r) fail("a handle of nothing");
}

/* Text and arrays whose length is asked for. */
static void fill_one(fuzzer *f) {
    int none, what = (int)below(f, 7);
    const maskrcnn_results *r = handle(f, found, detectors, &none);
    const maskrcnn_detector *d = what ? NULL : handle(f, detectors, found, &none);
    size_t index = one_in(f, 10) ? (size_t)next(f) : below(f, 6), needed = 0, length, unit = what >= 5 ? 4 : 1;
    int32_t extent = one_in(f, 10) ? (int32_t)next(f) : (int32_t)below(f, 2);
    uint32_t label = one_in(f, 10) ? (uint32_t)next(f) : (uint32_t)below(f, 4);
    const char *id = text(f);
    maskrcnn_status status = MASKRCNN_OK;
    int twice;
    guarded g = guard(0);
    for (twice = 0; twice < 2; twice++) {
        size_t *need = one_in(f, 10) ? NULL : &needed;
        void *to = twice ? g.data : NULL;
        length = g.length / unit;
        if (!twice && one_in(f, 20)) length = (size_t)next(f);
        switch (what) {
            case 0: status = maskrcnn_detector_device_name(d, to, length, need); break;
            case 1: status = maskrcnn_results_class_name(r, label, to, length, need); break;
            case 2: status = maskrcnn_results_notes(r, to, length, need); break;
            case 3: status = maskrcnn_results_coco_json(r, id, to, length, need); break;
            case 4: status = maskrcnn_mask_rle_string(r, index, to, length, need); break;
            case 5: status = maskrcnn_mask_rle(r, index, to, length, need); break;
            case 6: status = maskrcnn_mask_bits(r, index, extent, to, length, need); break;
        }
        judge(f, status, none);
        if (twice) {
            if (status != MASKRCNN_OK && !untouched(&g)) fail("an error, and a buffer that was written to");
            if (status == MASKRCNN_OK && what < 5 && !memchr(g.data, 0, g.length)) fail("text without an end");
        } else {
            if (status != MASKRCNN_OK) break;
            release(&g);
            g = guard(about(f, needed) * unit);
        }
    }
    release(&g);
}

static void rows_one(fuzzer *f) {
    int none, ids = one_in(f, 3);
    const maskrcnn_results *r = handle(f, found, detectors, &none);
    maskrcnn_results_info info;
    size_t width = 61, height = 47, stride, length, unit = ids ? 4 : 1;
    maskrcnn_status status;
    guarded g;
    info.struct_size = sizeof info;
    if (maskrcnn_results_get_info(r, &info) == MASKRCNN_OK) {
        width = info.width;
        height = info.height;
    }
    stride = width + (one_in(f, 2) ? below(f, 5) : 0);
    length = stride * (height - 1) + width;
    if (one_in(f, 4)) length = about(f, length);
    if (one_in(f, 8)) stride = about(f, width);
    if (one_in(f, 20)) stride = (size_t)next(f) << below(f, 40);
    g = guard(length * unit);
    if (ids) status = maskrcnn_results_id_map(r, one_in(f, 9) ? (float)NAN : 0.25f * (float)below(f, 5), (void *)g.data, length, stride);
    else status = maskrcnn_mask_bytes(r, below(f, 6), (int32_t)below(f, 3), (uint8_t)next(f), one_in(f, 30) ? NULL : g.data, length, stride);
    judge(f, status, none);
    if (status != MASKRCNN_OK && !untouched(&g)) fail("an error, and a buffer that was written to");
    release(&g);
}

static void struct_one(fuzzer *f) {
    int none, what = (int)below(f, 3);
    static const size_t sizes[] = {sizeof(maskrcnn_detection), sizeof(maskrcnn_results_info), sizeof(maskrcnn_detector_info)};
    void *h = handle(f, what == 2 ? detectors : found, what == 2 ? found : detectors, &none);
    size_t size = sizes[what] + (one_in(f, 5) ? below(f, 64) : 0), told = one_in(f, 10) ? below(f, size + 1) : size;
    guarded g = guard(size);
    if (one_in(f, 20)) told = (size_t)next(f) | 0x10000;
    memcpy(g.data, &told, sizeof told);
    switch (what) {
        case 0: judge(f, maskrcnn_results_get(h, one_in(f, 10) ? (size_t)next(f) : below(f, 6), (void *)g.data), none); break;
        case 1: judge(f, maskrcnn_results_get_info(h, (void *)g.data), none); break;
        case 2: judge(f, maskrcnn_detector_get_info(h, (void *)g.data), none); break;
    }
    release(&g);
}

static void free_one(fuzzer *f) {
    void *h = NULL;
    if (f->stales && one_in(f, 2)) {
        h = f->stale[below(f, f->stales < STALE ? f->stales : STALE)];
        if (maskrcnn_results_free(h) != MASKRCNN_ERROR_HANDLE || maskrcnn_detector_free(h) != MASKRCNN_ERROR_HANDLE) fail("freed twice");
        f->calls += 2;
    } else if (one_in(f, 3)) {
        pthread_mutex_lock(&lock);
        h = detectors[below(f, POOL)];
        pthread_mutex_unlock(&lock);
        /* Another kind, or null, which is well. */
        if (judge(f, maskrcnn_results_free(h), 0) == MASKRCNN_OK && h) fail("a detector was freed as results");
    } else if (one_in(f, 40)) keep(f, detectors, NULL, 4);
    else keep(f, found, NULL, POOL);
}

static void *work(void *of) {
    fuzzer *f = of;
    unsigned long turn = 0;
    /* On a busy machine, a few thousand turns take longer than was asked for. */
    while (turn++ < 2000 || turn % 32 || time(NULL) < deadline) {
        size_t what = below(f, 1000);
        int none;
        /* What takes long comes seldom. */
        if (what < 1 && one_in(f, 2)) open_one(f);
        else if (what < 9) detect_one(f);
        else if (what < 18) read_one(f);
        else if (what < 32) {
            const maskrcnn_detector *d = handle(f, detectors, found, &none);
            judge(f, maskrcnn_warm_up(d, (uint32_t)below(f, 90), (uint32_t)(next(f) >> below(f, 48))), none);
        }
        else if (what < 60) free_one(f);
        else if (what < 450) fill_one(f);
        else if (what < 650) rows_one(f);
        else if (what < 900) struct_one(f);
        else if (what < 990) {
            if (maskrcnn_results_count(handle(f, found, detectors, &none)) && none) fail("a handle that is none has results");
            f->calls++;
        } else maskrcnn_clear_error();
    }
    return NULL;
}

int main(int argc, char **argv) {
    static fuzzer all[THREADS];
    pthread_t threads[THREADS];
    unsigned long calls = 0, answered[200] = {0};
    int i, s;
    FILE *in;
    if (argc != 5) return 2;
    weights = argv[3];
    image = argv[4];
    in = fopen(image, "rb");
    if (!in) return 2;
    file = malloc(1 << 20);
    file_length = file ? fread(file, 1, 1 << 20, in) : 0;
    fclose(in);
    deadline = time(NULL) + atoi(argv[1]);
    for (i = 0; i < THREADS; i++) {
        all[i].random = (uint64_t)atoll(argv[2]) * 2 * 0x9e3779b97f4a7c15ull + (uint64_t)i * 77 + 1;
        if (i == 0) {
            while (!detectors[0] && !detectors[1]) open_one(&all[i]);
            for (s = 0; s < 20; s++) detect_one(&all[i]);
        }
        if (pthread_create(&threads[i], NULL, work, &all[i])) return 2;
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        calls += all[i].calls;
        for (s = 0; s < 200; s++) answered[s] += all[i].answered[s];
    }
    for (i = 0; i < POOL; i++)
        if (maskrcnn_results_free(found[i]) || maskrcnn_detector_free(detectors[i])) fail("a handle that lives was not freed");
    free(file);
    printf("%lu calls", calls);
    for (s = 0; s < 200; s++)
        if (answered[s]) printf(", %lu %s", answered[s], maskrcnn_status_name(s));
    printf("\n");
    return 0;
}
