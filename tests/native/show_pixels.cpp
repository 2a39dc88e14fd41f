// Reads many pictures in one process, and writes what the program makes of each beside it.
//
// FILE.pixels: width, height and whether values are floats, as 32-bit numbers, then the picture,
// then the encoder's input. A line for each file says "ok", or why it is refused.
#include <cstdio>

#include "sam2lab.h"

using namespace sam2lab;

template <class T>
static void put(Bytes& to, const std::vector<T>& values) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
    to.insert(to.end(), bytes, bytes + values.size() * sizeof(T));
}

int main(int count, char** words) {
    const Bundle bundle = read_bundle(words[1]);
    for (int i = 2; i < count; ++i) {
        try {
            const Picture picture = read_picture(words[i]);
            Bytes shown;
            const auto [height, width] = picture.size;
            put(shown, std::vector<std::int32_t>{width, height, !picture.shares.empty()});
            put(shown, picture.levels);
            put(shown, picture.shares);
            put(shown, preprocess(picture, bundle));
            write_files({{std::string(words[i]) + ".pixels", shown}});
            std::puts("ok");
        } catch (const Failure& failure) {
            std::printf("%d %s\n", int(failure.code), failure.what());
        }
    }
}
