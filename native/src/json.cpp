#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "sam2lab.h"

namespace sam2lab {
namespace {

const int DEEPEST = 64;
const char HEXADECIMAL[] = "0123456789abcdefABCDEF";

// `text_[at_]` is 0 at the end, and a 0 in the text is no JSON.
class Reader {
public:
    explicit Reader(const Bytes& utf8) : text_(utf8.begin(), utf8.end()) {}

    Json document() {
        value("", 0);
        skip_space();
        if (at_ != text_.size()) fail("the end");
        return std::move(found_);
    }

private:
    [[noreturn]] void fail(const std::string& wanted) const {
        throw std::runtime_error(text(wanted, " is wanted at byte ", at_));
    }

    void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }

    bool take(const std::string& wanted) {
        skip_space();
        const bool is_here = text_.compare(at_, wanted.size(), wanted) == 0;
        if (is_here) at_ += wanted.size();
        return is_here;
    }

    void expect(const std::string& wanted) {
        if (!take(wanted)) fail(wanted);
    }

    void value(const std::string& pointer, int depth) {
        if (depth > DEEPEST) fail("a shallower value");
        if (take("{")) members(pointer, depth, true, "}");
        else if (take("[")) members(pointer, depth, false, "]");
        else if (take("\"")) found_.texts[pointer] = rest_of_string();
        else if (!take("true") && !take("false") && !take("null"))
            found_.numbers[pointer] = number();
    }

    void members(const std::string& pointer, int depth, bool have_names, const char* close) {
        if (take(close)) return;
        int index = 0;
        do {
            std::string name = std::to_string(index++);
            if (have_names) {
                expect("\"");
                name = rest_of_string();
                expect(":");
            }
            value(pointer + "/" + name, depth + 1);
        } while (take(","));
        expect(close);
    }

    // Refuses what `strtod` takes beyond JSON: 01, .5, 1. and +1.
    double number() {
        const std::size_t end = text_.find_first_not_of("+-.0123456789eE", at_);
        const std::string all = text_.substr(at_, end - at_);
        const auto is_digit = [&](std::size_t i) { return i < all.size() && std::isdigit(all[i]); };
        const std::size_t first = all[0] == '-', point = all.find('.');
        char* read_to = nullptr;
        const double value = std::strtod(all.c_str(), &read_to);
        if (!is_digit(first) || (all[first] == '0' && is_digit(first + 1)) || *read_to ||
            (point != std::string::npos && !is_digit(point + 1)))
            fail("a value");
        at_ += all.size();
        return value;
    }

    std::string rest_of_string() {
        static const std::string marks = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
        std::string found;
        while (text_[at_] != '"') {
            if (static_cast<unsigned char>(text_[at_]) < ' ') fail("the end of a string");
            const std::size_t mark = text_[at_] == '\\' ? marks.find(text_[at_ + 1]) : 0;
            if (text_[at_] != '\\') found += text_[at_++];
            else if (text_[at_ + 1] == 'u') found += escaped_utf16();
            else if (mark != std::string::npos) found += meant[mark], at_ += 2;
            else fail("an escape");
        }
        ++at_;
        return found;
    }

    // All of \uXXXX that follow one another, since two may be one letter.
    std::string escaped_utf16() {
        std::u16string units;
        for (; text_.compare(at_, 2, "\\u") == 0; at_ += 6) {
            const std::string digits = text_.substr(at_ + 2, 4);
            if (digits.size() < 4 || digits.find_first_not_of(HEXADECIMAL) != std::string::npos)
                fail("a \\u with four hexadecimal digits");
            units += char16_t(std::stoi(digits, nullptr, 16));
        }
        try {
            return Path(units).u8string();
        } catch (const std::exception&) {
            fail("a pair of surrogates");
        }
    }

    const std::string text_;
    std::size_t at_ = 0;
    Json found_;
};

}  // namespace

Json parse_json(const Bytes& utf8) { return Reader(utf8).document(); }

const std::string& Json::text_at(const std::string& pointer) const {
    const auto found = texts.find(pointer);
    if (found == texts.end()) throw std::runtime_error("'" + pointer + "' must be a text");
    return found->second;
}

long long Json::whole_at(const std::string& pointer, long long least, long long most) const {
    const auto found = numbers.find(pointer);
    if (found == numbers.end() || !(found->second >= double(least)) ||
        !(found->second <= double(most)) || found->second != std::floor(found->second))
        throw std::runtime_error(text("'", pointer, "' must be a whole number from ", least, " to ",
                                      most));
    return (long long)found->second;
}

}  // namespace sam2lab
