// What ends the program early: a message that says what came and what to do, and an exit code.
#pragma once

#include <cstdio>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace sam2lab {

enum Exit { DONE = 0, DEFECT = 1, ARGUMENTS = 2, MODEL = 3, PHOTO = 4, LIBRARY = 5, OUTPUT = 6 };

// A piece of a message: text, or a number in its shortest form.
struct Word : std::string {
    Word(const char* text) : std::string(text) {}
    Word(const std::string& text) : std::string(text) {}
    template <class Whole, std::enable_if_t<std::is_integral_v<Whole>, int> = 0>
    Word(Whole number) : std::string(std::to_string(number)) {}
    Word(double number) {
        char digits[32];
        std::snprintf(digits, sizeof digits, "%g", number);
        assign(digits);
    }
};

inline std::string text(std::initializer_list<Word> words) {
    std::string joined;
    for (const Word& each : words) joined += each;
    return joined;
}

struct Failure : std::runtime_error {
    Failure(Exit exit, std::initializer_list<Word> words) : std::runtime_error(text(words)), code(exit) {}
    Exit code;
};

}  // namespace sam2lab
