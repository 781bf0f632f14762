// maskrcnn in C++17: handles that free themselves, errors as exceptions. All of it is here; the rest is maskrcnn.h.
#ifndef MASKRCNN_HPP
#define MASKRCNN_HPP

#include "maskrcnn.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace maskrcnn {

// What a call failed with: its kind, and the sentence of maskrcnn_last_error().
class Error : public std::runtime_error {
public:
    explicit Error(maskrcnn_status status) : std::runtime_error(maskrcnn_last_error()), status_(status) {}
    maskrcnn_status status() const noexcept { return status_; }

private:
    maskrcnn_status status_;
};

inline void check(maskrcnn_status status) {
    if (status != MASKRCNN_OK) throw Error(status);
}

namespace detail {

struct Free {
    void operator()(maskrcnn_detector *handle) const noexcept { maskrcnn_detector_free(handle); }
    void operator()(maskrcnn_results *handle) const noexcept { maskrcnn_results_free(handle); }
};

// Asks for the length, then for the answer.
template <typename Container, typename Call>
Container filled(Call call) {
    std::size_t needed = 0;
    check(call(nullptr, std::size_t{0}, &needed));
    Container out(needed, {});
    check(call(out.data(), out.size(), &needed));
    return out;
}

template <typename Call>
std::string text(Call call) {
    auto out = filled<std::string>(call);
    if (!out.empty()) out.pop_back(); // The closing NUL.
    return out;
}

} // namespace detail

// What to open; all of it may be left as it is.
struct Options {
    std::string weights, device, config_json, pipeline_folder; // Empty: not said.
    maskrcnn_precision precision = MASKRCNN_PRECISION_F32;
    bool boxes_only = false;
    float score_threshold = -1.0f; // Below 0: the file's own.
};

// What was found. Can be moved, and read from any thread.
class Results {
public:
    explicit Results(maskrcnn_results *handle) noexcept : handle_(handle) {}
    const maskrcnn_results *get() const noexcept { return handle_.get(); }

    maskrcnn_results_info info() const {
        maskrcnn_results_info out{};
        out.struct_size = sizeof out;
        check(maskrcnn_results_get_info(get(), &out));
        return out;
    }
    std::size_t size() const { return info().count; }
    maskrcnn_detection operator[](std::size_t index) const {
        maskrcnn_detection out{};
        out.struct_size = sizeof out;
        check(maskrcnn_results_get(get(), index, &out));
        return out;
    }
    std::string class_name(std::uint32_t label) const {
        return detail::text([&](char *to, std::size_t n, std::size_t *need) { return maskrcnn_results_class_name(get(), label, to, n, need); });
    }
    std::string notes() const {
        return detail::text([&](char *to, std::size_t n, std::size_t *need) { return maskrcnn_results_notes(get(), to, n, need); });
    }
    std::string coco_json(const std::string &image_id) const {
        return detail::text([&](char *to, std::size_t n, std::size_t *need) { return maskrcnn_results_coco_json(get(), image_id.c_str(), to, n, need); });
    }
    // The whole image, a byte a pixel: 255 or 0.
    std::vector<std::uint8_t> mask(std::size_t index) const {
        const auto all = info();
        std::vector<std::uint8_t> out(std::size_t{all.width} * all.height);
        check(maskrcnn_mask_bytes(get(), index, MASKRCNN_EXTENT_IMAGE, 255, out.data(), out.size(), all.width));
        return out;
    }
    std::vector<std::uint32_t> rle(std::size_t index) const {
        return detail::filled<std::vector<std::uint32_t>>([&](std::uint32_t *to, std::size_t n, std::size_t *need) { return maskrcnn_mask_rle(get(), index, to, n, need); });
    }
    // For each pixel 0, or 1 + the number of its instance.
    std::vector<std::uint32_t> id_map(float least_score = 0.0f) const {
        const auto all = info();
        std::vector<std::uint32_t> out(std::size_t{all.width} * all.height);
        check(maskrcnn_results_id_map(get(), least_score, out.data(), out.size(), all.width));
        return out;
    }

private:
    std::unique_ptr<maskrcnn_results, detail::Free> handle_;
};

// A network on a device. Can be moved, and used from any thread.
class Detector {
public:
    explicit Detector(const Options &options = {}) {
        const auto said = [](const std::string &text) { return text.empty() ? nullptr : text.c_str(); };
        maskrcnn_options o;
        check(maskrcnn_options_init(&o, sizeof o));
        o.weights = said(options.weights);
        o.device = said(options.device);
        o.config_json = said(options.config_json);
        o.pipeline_folder = said(options.pipeline_folder);
        o.precision = options.precision;
        o.boxes_only = options.boxes_only;
        if (!(options.score_threshold < 0.0f)) {
            o.has_score_threshold = 1;
            o.score_threshold = options.score_threshold;
        }
        maskrcnn_detector *handle = nullptr;
        check(maskrcnn_open(&o, &handle));
        handle_.reset(handle);
    }
    const maskrcnn_detector *get() const noexcept { return handle_.get(); }

    std::string device_name() const {
        return detail::text([&](char *to, std::size_t n, std::size_t *need) { return maskrcnn_detector_device_name(get(), to, n, need); });
    }
    void warm_up(std::uint32_t width, std::uint32_t height) const { check(maskrcnn_warm_up(get(), width, height)); }
    Results detect(const std::uint8_t *pixels, std::size_t length, std::uint32_t width, std::uint32_t height, std::size_t stride, maskrcnn_format format) const {
        maskrcnn_results *out = nullptr;
        check(maskrcnn_detect(get(), pixels, length, width, height, stride, format, &out));
        return Results(out);
    }
    Results detect_file(const std::string &path) const {
        maskrcnn_results *out = nullptr;
        check(maskrcnn_detect_file(get(), path.c_str(), &out));
        return Results(out);
    }
    Results detect_encoded(const std::vector<std::uint8_t> &file) const {
        maskrcnn_results *out = nullptr;
        check(maskrcnn_detect_encoded(get(), file.data(), file.size(), &out));
        return Results(out);
    }

private:
    std::unique_ptr<maskrcnn_detector, detail::Free> handle_;
};

} // namespace maskrcnn

#endif // MASKRCNN_HPP
