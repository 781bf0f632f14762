/*
 * maskrcnn: Mask R-CNN on any GPU, in C99 and C++.
 *
 * Every function returns a maskrcnn_status, but for the few that say otherwise: MASKRCNN_OK, or a kind of error, of which
 * maskrcnn_last_error() tells the rest. Nothing ends the program, and nothing is printed, but for what Rust says of a panic, which is a mistake
 * of the library's: MASKRCNN_ERROR_PANIC.
 *
 * Ownership. What a call puts into a `maskrcnn_detector **` or a `maskrcnn_results **` is the caller's, and is given back by the _free
 * function of its name. All else that is passed in is the caller's before and after, and is not kept: pixels, text and buffers may go
 * away when the call has returned. A handle is no address. One that was freed, or never was, is told from others, and answered by
 * MASKRCNN_ERROR_HANDLE.
 *
 * Threads. Every function may be called from any thread, also with one handle from several at once: images of a detector are done one after
 * the other, results are only read. A handle that is freed while another thread is in a call with it lives until that call ends. The last
 * error is the calling thread's own.
 *
 * Units. Pixels of the image, x to the right, y down; (0, 0) is the top left corner of the first pixel. Scores are 0 to 1. Labels are 1 and
 * more, 0 being the background. Lengths of buffers are in elements of their type; text is UTF-8 that ends with a NUL, which counts.
 *
 * Structs begin with their size, so that they may grow: programs that were compiled with this header work with later libraries of the
 * same MASKRCNN_ABI_VERSION.
 *
 * Made of bindings/c/src by cbindgen: MASKRCNN_BLESS=1 cargo test -p maskrcnn-c-header
 */


#ifndef MASKRCNN_H
#define MASKRCNN_H

#include <stddef.h>
#include <stdint.h>

/**
 * The interface that this header is of. A library with another number has other functions, structs or meanings; one with
 * the same has at least what this header declares, and may have more.
 */
#define MASKRCNN_ABI_VERSION 1

/**
 * A network on a device. Freed by maskrcnn_detector_free. Any number of threads may use it at once: images are done one
 * after the other.
 */
typedef struct maskrcnn_detector maskrcnn_detector;

/**
 * What was found in an image: never changes. Freed by maskrcnn_results_free. Any number of threads may read it at once; it
 * does not need its detector any more.
 */
typedef struct maskrcnn_results maskrcnn_results;

/**
 * How a call ended: one of MASKRCNN_OK and MASKRCNN_ERROR_…. Later versions may know further errors.
 */
typedef int32_t maskrcnn_status;

/**
 * What products are computed in: one of MASKRCNN_PRECISION_….
 */
typedef int32_t maskrcnn_precision;

/**
 * What a network is opened with. All zeros but the first field is what is chosen where nothing is said.
 *
 * Set it to zeros, then its size: maskrcnn_options_init does both. Text is UTF-8, and read before the call returns.
 */
typedef struct maskrcnn_options {
  /**
   * sizeof(maskrcnn_options).
   */
  size_t struct_size;
  /**
   * A weights file (PyTorch checkpoint or safetensors), or the name of a published model that the program's
   * `maskrcnn weights pull` has brought. Null: the model for cell nuclei that is in the library.
   */
  const char *weights;
  /**
   * A part of the device's name, or its number among those that `maskrcnn devices` lists. Null: the best one.
   */
  const char *device;
  /**
   * Settings in place of the file's own, as a tree of their JSON: {"box": {"detections_per_img": 50}}. Null: none.
   */
  const char *config_json;
  /**
   * A folder, which nobody else can write to, where compiled shaders are kept from one start to the next. Null: they are not,
   * other than by the driver.
   */
  const char *pipeline_folder;
  /**
   * One of MASKRCNN_PRECISION_….
   */
  maskrcnn_precision precision;
  /**
   * 1: masks take neither time nor memory, and there are none. 0: as the network has it.
   */
  int32_t boxes_only;
  /**
   * 1: score_threshold counts. 0: the file's own setting, or that in config_json.
   */
  int32_t has_score_threshold;
  /**
   * Detections score more than this, 0 to 1.
   */
  float score_threshold;
} maskrcnn_options;

/**
 * What a detector is.
 */
typedef struct maskrcnn_detector_info {
  /**
   * sizeof(maskrcnn_detector_info), to be set before the call.
   */
  size_t struct_size;
  /**
   * MASKRCNN_PRECISION_F32 or _F16: what is computed in, also where MASKRCNN_PRECISION_AUTO was asked for.
   */
  maskrcnn_precision precision;
  /**
   * 1: it gives masks. 0: boxes only.
   */
  int32_t has_masks;
  /**
   * Its classes, the background (class 0) included.
   */
  uint32_t classes;
  /**
   * 1: compiled shaders are kept in options.pipeline_folder. 0: that was not asked for, or the driver gives none to keep.
   */
  int32_t keeps_pipelines;
} maskrcnn_detector_info;

/**
 * How the bytes of a pixel are ordered, 8 bits a sample: one of MASKRCNN_FORMAT_….
 */
typedef int32_t maskrcnn_format;

/**
 * How much of the image a mask is given for: one of MASKRCNN_EXTENT_….
 */
typedef int32_t maskrcnn_extent;

/**
 * What was found in an image, all together.
 */
typedef struct maskrcnn_results_info {
  /**
   * sizeof(maskrcnn_results_info), to be set before the call.
   */
  size_t struct_size;
  /**
   * Detections.
   */
  size_t count;
  /**
   * Further detections, for which the settings have no room (box.detections_per_img).
   */
  size_t left_out;
  /**
   * Width of the image in pixels.
   */
  uint32_t width;
  /**
   * Height of the image in pixels.
   */
  uint32_t height;
  /**
   * 1: there are masks. 0: boxes only.
   */
  int32_t has_masks;
  /**
   * 1: more likely objects were proposed than the settings let through (rpn.pre_nms_top_n, rpn.post_nms_top_n), so that there may
   * be some that nothing looked at. 0: there were not.
   */
  int32_t crowded;
} maskrcnn_results_info;

/**
 * One instance found. Coordinates are pixels of the image: x to the right, y down, (0, 0) the top left corner of the first pixel.
 */
typedef struct maskrcnn_detection {
  /**
   * sizeof(maskrcnn_detection), to be set before the call.
   */
  size_t struct_size;
  /**
   * The pixels of its mask. 0 where there are no masks.
   */
  uint64_t mask_area;
  /**
   * The box's left edge.
   */
  float x1;
  /**
   * Its upper edge.
   */
  float y1;
  /**
   * Its right edge: an edge, not a centre, so that the whole image is 0, 0, width, height.
   */
  float x2;
  /**
   * Its lower edge.
   */
  float y2;
  /**
   * The network's confidence, 0 to 1.
   */
  float score;
  /**
   * Its class: 1 or more, the background being 0.
   */
  uint32_t label;
  /**
   * The left column of the rectangle that its mask lies in.
   */
  uint32_t mask_x;
  /**
   * The top row.
   */
  uint32_t mask_y;
  /**
   * The columns; 0 where there are no masks.
   */
  uint32_t mask_width;
  /**
   * The rows; 0 where there are no masks.
   */
  uint32_t mask_height;
} maskrcnn_detection;

/**
 * All of it.
 */
#define MASKRCNN_EXTENT_IMAGE 0

/**
 * The rectangle that the mask lies in: mask_x, mask_y, mask_width and mask_height of maskrcnn_detection.
 */
#define MASKRCNN_EXTENT_RECTANGLE 1

/**
 * 32 bits, everywhere.
 */
#define MASKRCNN_PRECISION_F32 0

/**
 * 16 bits; a device whose shaders lack them is refused.
 */
#define MASKRCNN_PRECISION_F16 1

/**
 * 16 bits where that is faster on the device, 32 elsewhere: maskrcnn_detector_get_info says which.
 */
#define MASKRCNN_PRECISION_AUTO 2

/**
 * Red, green, blue. Read where it lies if there is nothing between rows; of all others a copy is made.
 */
#define MASKRCNN_FORMAT_RGB8 0

/**
 * Red, green, blue, alpha, which is dropped without compositing.
 */
#define MASKRCNN_FORMAT_RGBA8 1

/**
 * Blue, green, red: OpenCV's order.
 */
#define MASKRCNN_FORMAT_BGR8 2

/**
 * Blue, green, red, alpha, which is dropped likewise.
 */
#define MASKRCNN_FORMAT_BGRA8 3

/**
 * One sample, taken for red, green and blue.
 */
#define MASKRCNN_FORMAT_GREY8 4

/**
 * It went well.
 */
#define MASKRCNN_OK 0

/**
 * An argument that cannot be: null, not a number, of a kind that is not known, text that is not UTF-8.
 */
#define MASKRCNN_ERROR_ARGUMENT 1

/**
 * A handle that is none: freed before, of another kind, or never given out.
 */
#define MASKRCNN_ERROR_HANDLE 2

/**
 * A buffer with no room for what was asked for. Nothing was written into it.
 */
#define MASKRCNN_ERROR_BUFFER 3

/**
 * A number of a detection that is not there.
 */
#define MASKRCNN_ERROR_INDEX 4

/**
 * A mask was asked of results of a network that gives boxes only.
 */
#define MASKRCNN_ERROR_NO_MASKS 5

/**
 * A mistake of the library's own. The handle that it happened with is good for nothing but to be freed.
 */
#define MASKRCNN_ERROR_PANIC 6

/**
 * A handle that MASKRCNN_ERROR_PANIC was said of before.
 */
#define MASKRCNN_ERROR_POISONED 7

/**
 * An image that cannot be decoded or used.
 */
#define MASKRCNN_ERROR_IMAGE 100

/**
 * A weights file that is not what it should be.
 */
#define MASKRCNN_ERROR_WEIGHTS 101

/**
 * One tensor of a weights file is missing or wrong.
 */
#define MASKRCNN_ERROR_TENSOR 102

/**
 * A download that failed.
 */
#define MASKRCNN_ERROR_DOWNLOAD 103

/**
 * A setting that cannot be.
 */
#define MASKRCNN_ERROR_CONFIG 104

/**
 * Settings and weights that do not go together.
 */
#define MASKRCNN_ERROR_SHAPE 105

/**
 * No GPU driver, or not the device that was asked for.
 */
#define MASKRCNN_ERROR_NO_DEVICE 106

/**
 * The device cannot hold or address what is needed.
 */
#define MASKRCNN_ERROR_LIMIT 107

/**
 * A shader that the driver's compiler refused.
 */
#define MASKRCNN_ERROR_SHADER 108

/**
 * The device has no memory left.
 */
#define MASKRCNN_ERROR_OUT_OF_MEMORY 109

/**
 * The device is gone; detectors on it are lost.
 */
#define MASKRCNN_ERROR_DEVICE_LOST 110

/**
 * Something was asked of a device that it does not offer.
 */
#define MASKRCNN_ERROR_UNSUPPORTED 111

/**
 * The device failed in another way.
 */
#define MASKRCNN_ERROR_DEVICE 112

/**
 * What cannot be, is: a mistake of the library's own that it noticed.
 */
#define MASKRCNN_ERROR_INTERNAL 113

/**
 * A file that cannot be read.
 */
#define MASKRCNN_ERROR_IO 114

/**
 * An error of a kind that this interface has no number for.
 */
#define MASKRCNN_ERROR_OTHER 199

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The interface of the library that is linked: to be compared with MASKRCNN_ABI_VERSION. Cannot fail.
 */
uint32_t maskrcnn_abi_version(void);

/**
 * The library's own version, "0.1.0": text that is there for as long as the library is. Cannot fail.
 */
const char *maskrcnn_version(void);

/**
 * Opens a network: reads its weights, then opens the device. Shaders are compiled at the first image of a size, or by
 * maskrcnn_warm_up.
 *
 * options: null for the model in the library on the best device, with all else as its file has it.
 * detector: where to put the handle, which is the caller's, to be freed by maskrcnn_detector_free; null where the call fails.
 *
 * Errors: MASKRCNN_ERROR_IO, _WEIGHTS, _TENSOR and _SHAPE for what is wrong with the file, _CONFIG for settings that cannot be,
 * _NO_DEVICE where there is no GPU driver or not that device, _UNSUPPORTED where it has no f16.
 */
maskrcnn_status maskrcnn_open(const struct maskrcnn_options *options,
                              struct maskrcnn_detector **detector);

/**
 * Gives a detector back. Calls of other threads that are at it end as usual; its results stay. Null is well; a handle that was
 * freed before is MASKRCNN_ERROR_HANDLE, and nothing else happens.
 */
maskrcnn_status maskrcnn_detector_free(struct maskrcnn_detector *detector);

/**
 * Makes all ready for images of that size, in pixels, as their first detection would: shaders compiled, weights and memory on the device.
 *
 * Errors: MASKRCNN_ERROR_IMAGE for a size that no image can have, _LIMIT and _OUT_OF_MEMORY where the device cannot take it,
 * _SHAPE where settings and weights do not go together.
 */
maskrcnn_status maskrcnn_warm_up(const struct maskrcnn_detector *detector,
                                 uint32_t width,
                                 uint32_t height);

/**
 * What a detector is. info.struct_size is set before the call.
 */
maskrcnn_status maskrcnn_detector_get_info(const struct maskrcnn_detector *detector,
                                           struct maskrcnn_detector_info *info);

/**
 * The name of the device that a detector runs on, in UTF-8, into a buffer of `length` bytes.
 *
 * needed: its bytes, the closing NUL included; may be null. A null buffer of length 0 asks for that alone.
 */
maskrcnn_status maskrcnn_detector_device_name(const struct maskrcnn_detector *detector,
                                              char *buffer,
                                              size_t length,
                                              size_t *needed);

/**
 * Detects in pixels of the caller's, which stay as they are until the call returns.
 *
 * pixels: `length` bytes, 8 bits a sample, row by row from the top; rows begin `stride` bytes after one another, and what lies between them
 * is not looked at. The last row may end with its pixels.
 * width, height: in pixels; a side has 65535 at most, all 128 Mi.
 * format: one of MASKRCNN_FORMAT_….
 * results: where to put the handle, which is the caller's, to be freed by maskrcnn_results_free; null where the call fails.
 *
 * Errors: MASKRCNN_ERROR_IMAGE for pixels that are no image: a side of 0, a stride shorter than a row, fewer bytes than that; _LIMIT and
 * _OUT_OF_MEMORY where the device cannot take it, _DEVICE_LOST and _DEVICE where it fails.
 */
maskrcnn_status maskrcnn_detect(const struct maskrcnn_detector *detector,
                                const uint8_t *pixels,
                                size_t length,
                                uint32_t width,
                                uint32_t height,
                                size_t stride,
                                maskrcnn_format format,
                                struct maskrcnn_results **results);

/**
 * Detects in an image file that is in memory: PNG, JPEG, TIFF, BMP, WebP or GIF, told from its content. What was assumed to read
 * it, maskrcnn_results_notes tells.
 *
 * Errors: as maskrcnn_detect; MASKRCNN_ERROR_IMAGE, too, for bytes that are truncated, damaged or no image.
 */
maskrcnn_status maskrcnn_detect_encoded(const struct maskrcnn_detector *detector,
                                        const uint8_t *file,
                                        size_t length,
                                        struct maskrcnn_results **results);

/**
 * Detects in an image file, its path in UTF-8.
 *
 * Errors: as maskrcnn_detect_encoded, and MASKRCNN_ERROR_IO for a file that cannot be read.
 */
maskrcnn_status maskrcnn_detect_file(const struct maskrcnn_detector *detector,
                                     const char *path,
                                     struct maskrcnn_results **results);

/**
 * A mask as bytes, one a pixel, row by row from the top: `inside` where it is set, 0 elsewhere.
 *
 * index: of the instance, from 0.
 * extent: one of MASKRCNN_EXTENT_….
 * inside: 1 to 255; 255 for a picture to look at.
 * buffer: `length` bytes; rows begin `stride` bytes after one another, and what lies between them is not touched.
 *
 * Errors: MASKRCNN_ERROR_INDEX, _ARGUMENT for a stride shorter than a row, _BUFFER for too few bytes, _NO_MASKS for boxes.
 */
maskrcnn_status maskrcnn_mask_bytes(const struct maskrcnn_results *results,
                                    size_t index,
                                    maskrcnn_extent extent,
                                    uint8_t inside,
                                    uint8_t *buffer,
                                    size_t length,
                                    size_t stride);

/**
 * A mask as bits: rows from the top, ceil(width / 32) words each, without gaps; the leftmost pixel of a word is its lowest bit, and bits
 * past the row's end are 0.
 *
 * words: room for `length` of them.
 * needed: how many there are; may be null. A null buffer of length 0 asks for that alone.
 *
 * Errors: MASKRCNN_ERROR_INDEX, _BUFFER for too few words, _NO_MASKS for boxes.
 */
maskrcnn_status maskrcnn_mask_bits(const struct maskrcnn_results *results,
                                   size_t index,
                                   maskrcnn_extent extent,
                                   uint32_t *words,
                                   size_t length,
                                   size_t *needed);

/**
 * A mask as COCO's run-length code: how many pixels of 0, of 1, of 0, … follow each other, over the whole image column by column (top to
 * bottom, then left to right). They add up to width * height; the first may be 0.
 *
 * counts: room for `length` of them.
 * needed: how many there are; may be null. A null buffer of length 0 asks for that alone.
 *
 * Errors: as maskrcnn_mask_bits.
 */
maskrcnn_status maskrcnn_mask_rle(const struct maskrcnn_results *results,
                                  size_t index,
                                  uint32_t *counts,
                                  size_t length,
                                  size_t *needed);

/**
 * The same as the compressed text that COCO's files have ("counts", as pycocotools' encode gives it).
 *
 * buffer: room for `length` bytes.
 * needed: its bytes, the closing NUL included; may be null. A null buffer of length 0 asks for that alone.
 *
 * Errors: as maskrcnn_mask_bits.
 */
maskrcnn_status maskrcnn_mask_rle_string(const struct maskrcnn_results *results,
                                         size_t index,
                                         char *buffer,
                                         size_t length,
                                         size_t *needed);

/**
 * Sets options to what is chosen where nothing is said: struct_size is sizeof(maskrcnn_options).
 */
maskrcnn_status maskrcnn_options_init(struct maskrcnn_options *options, size_t struct_size);

/**
 * Gives results back. Null is well; a handle that was freed before is MASKRCNN_ERROR_HANDLE, and nothing else happens.
 */
maskrcnn_status maskrcnn_results_free(struct maskrcnn_results *results);

/**
 * How many instances were found; 0, too, where the handle is none, which maskrcnn_results_get_info tells apart.
 */
size_t maskrcnn_results_count(const struct maskrcnn_results *results);

/**
 * What was found, all together. info.struct_size is set before the call.
 */
maskrcnn_status maskrcnn_results_get_info(const struct maskrcnn_results *results,
                                          struct maskrcnn_results_info *info);

/**
 * One of the instances, which are numbered from 0 by falling score. detection.struct_size is set before the call.
 */
maskrcnn_status maskrcnn_results_get(const struct maskrcnn_results *results,
                                     size_t index,
                                     struct maskrcnn_detection *detection);

/**
 * The name of a class, in UTF-8, into a buffer of `length` bytes: "class 7" for one that has none.
 *
 * needed: its bytes, the closing NUL included; may be null. A null buffer of length 0 asks for that alone.
 */
maskrcnn_status maskrcnn_results_class_name(const struct maskrcnn_results *results,
                                            uint32_t label,
                                            char *buffer,
                                            size_t length,
                                            size_t *needed);

/**
 * What was assumed, left out or changed to read an image file, a sentence a line, in UTF-8; empty for an ordinary picture and
 * for pixels. Buffer, length and needed as in maskrcnn_results_class_name.
 */
maskrcnn_status maskrcnn_results_notes(const struct maskrcnn_results *results,
                                       char *buffer,
                                       size_t length,
                                       size_t *needed);

/**
 * The results as COCO has them: a JSON array, in UTF-8, that pycocotools' loadRes reads, with masks as compressed run-length code. The text
 * is made anew by each call.
 *
 * image_id: how the image is called there; digits alone become a number.
 * Buffer, length and needed as in maskrcnn_results_class_name.
 */
maskrcnn_status maskrcnn_results_coco_json(const struct maskrcnn_results *results,
                                           const char *image_id,
                                           char *buffer,
                                           size_t length,
                                           size_t *needed);

/**
 * A map of the whole image: for each pixel 0, or 1 + the number of the instance that it belongs to. Where masks overlap, the higher
 * score wins.
 *
 * least_score: instances below are left out; 0 takes all.
 * ids: `length` elements; rows of the image's width begin `stride` elements after one another, and what lies between them is not
 * touched.
 *
 * Errors: MASKRCNN_ERROR_ARGUMENT for a stride below the width, _BUFFER for too few elements, _NO_MASKS for boxes.
 */
maskrcnn_status maskrcnn_results_id_map(const struct maskrcnn_results *results,
                                        float least_score,
                                        uint32_t *ids,
                                        size_t length,
                                        size_t stride);

/**
 * What went wrong in the last call that failed on the calling thread, as a sentence that names the culprit and the cure, in UTF-8;
 * empty where none failed. A call that goes well leaves it as it is.
 *
 * The text is the library's: it is there until the next call that fails on this thread, and until the thread ends.
 * Never null.
 */
const char *maskrcnn_last_error(void);

/**
 * The kind of that error: what the call returned. MASKRCNN_OK where none failed on this thread.
 */
maskrcnn_status maskrcnn_last_status(void);

/**
 * Forgets the calling thread's last error.
 */
void maskrcnn_clear_error(void);

/**
 * A word for a kind of error, "image" say, that is there for as long as the library is; "unknown" for a number that is none.
 */
const char *maskrcnn_status_name(maskrcnn_status status);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MASKRCNN_H */
