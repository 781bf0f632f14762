// Finds instances in an image and prints their boxes, by maskrcnn.hpp.
//
//   detect IMAGE [WEIGHTS]
#include <maskrcnn.hpp>

#include <cstdio>

int main(int argc, char **argv) try {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s IMAGE [WEIGHTS]\n", argv[0]);
        return 2;
    }
    maskrcnn::Options options;
    if (argc > 2) options.weights = argv[2];
    const maskrcnn::Detector detector(options);
    const auto results = detector.detect_file(argv[1]);
    for (std::size_t i = 0; i < results.size(); i++) {
        const auto d = results[i];
        std::printf("%s %a %a %a %a %a %llu\n", results.class_name(d.label).c_str(), double{d.score}, double{d.x1}, double{d.y1},
                    double{d.x2}, double{d.y2}, static_cast<unsigned long long>(d.mask_area));
    }
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
}
