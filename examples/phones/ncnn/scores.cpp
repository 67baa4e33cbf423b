// Scores of face crops by mien-1m in ncnn, as JSON: the C++ side of ../ncnn_faces.py. NOT RUN HERE: see ../README.md.
//
//   mien_scores mien-1m.ncnn.param mien-1m.ncnn.bin crop.pgm ...
//
// crop.pgm: a grey crop of 48x48 pixels (binary PGM, P5), cut as the specification mien-1m.json says. Prove a port by its
// vectors: a crop whose pixel in column x and row y is (7 * x + 5 * y) % 256 must give the scores that stand there.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "net.h"

namespace {

constexpr int kSize = 48;            // preprocessing.size_px
constexpr float kFlatStd = 0.05f;    // preprocessing.flat_std
const char* const kExpressions[] = {"anger",   "disgust",  "fear",    "happiness",
                                    "sadness", "surprise", "neutral", "contempt"};

bool read_pgm(const char* file, std::vector<unsigned char>& pixels) {
    std::ifstream stream(file, std::ios::binary);
    std::string magic;
    int width = 0, height = 0, largest = 0;
    if (!(stream >> magic >> width >> height >> largest)) return false;
    if (magic != "P5" || width != kSize || height != kSize || largest != 255) return false;
    stream.get();
    pixels.resize(kSize * kSize);
    return static_cast<bool>(stream.read(reinterpret_cast<char*>(pixels.data()), pixels.size()));
}

// Each crop is brought to its own mean and standard deviation ("standardize": true in the specification).
ncnn::Mat to_network_input(const std::vector<unsigned char>& pixels) {
    double sum = 0, squares = 0;
    for (unsigned char pixel : pixels) sum += pixel / 255.0;
    const double mean = sum / pixels.size();
    for (unsigned char pixel : pixels) squares += (pixel / 255.0 - mean) * (pixel / 255.0 - mean);
    const double std = std::sqrt(squares / pixels.size());
    ncnn::Mat input(kSize, kSize, 1);
    for (int row = 0; row < kSize; ++row)
        for (int column = 0; column < kSize; ++column)
            input.channel(0).row(row)[column] =
                static_cast<float>((pixels[row * kSize + column] / 255.0 - mean) / (std + kFlatStd));
    return input;
}

std::vector<float> softmax(const ncnn::Mat& logits) {
    std::vector<float> scores(logits.w);
    float largest = logits[0];
    for (int i = 1; i < logits.w; ++i) largest = std::max(largest, logits[i]);
    for (int i = 0; i < logits.w; ++i) scores[i] = std::exp(logits[i] - largest);
    const float sum = std::accumulate(scores.begin(), scores.end(), 0.0f);
    for (float& score : scores) score /= sum;
    return scores;
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 4) {
        std::fprintf(stderr, "usage: mien_scores NETWORK.param NETWORK.bin CROP.pgm ...\n");
        return 2;
    }
    ncnn::Net network;
    network.opt.use_fp16_packed = network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = false;
    if (network.load_param(arguments[1]) || network.load_model(arguments[2])) return 2;
    for (int i = 3; i < count; ++i) {
        std::vector<unsigned char> pixels;
        if (!read_pgm(arguments[i], pixels)) {
            std::fprintf(stderr, "%s: expected a binary PGM of %dx%d pixels\n", arguments[i], kSize, kSize);
            return 1;
        }
        ncnn::Extractor extractor = network.create_extractor();
        ncnn::Mat logits;
        extractor.input("in0", to_network_input(pixels));
        if (extractor.extract("out0", logits)) return 1;
        const std::vector<float> scores = softmax(logits);
        std::printf("{\"source\": \"%s\", \"scores\": {", arguments[i]);
        for (size_t k = 0; k < scores.size(); ++k)
            std::printf("%s\"%s\": %.4f", k ? ", " : "", kExpressions[k], scores[k]);
        std::printf("}}\n");
    }
    return 0;
}
