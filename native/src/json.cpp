#include "json.h"

#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace sam2lab {
namespace {

const int DEEPEST = 64;

class Reader {
public:
    explicit Reader(const std::string& text) : next_(text.data()), end_(next_ + text.size()), start_(next_) {}

    Json document() {
        Json value = read(0);
        skip_space();
        if (next_ != end_) fail("the end");
        return value;
    }

private:
    [[noreturn]] void fail(const char* wanted) const {
        throw std::runtime_error(std::string(wanted) + " is wanted at byte " +
                                 std::to_string(next_ - start_));
    }

    void skip_space() {
        while (next_ != end_ && std::strchr(" \t\r\n", *next_) && *next_) ++next_;
    }

    char peek() const { return next_ == end_ ? '\0' : *next_; }

    bool take(char wanted) {
        skip_space();
        if (peek() != wanted || next_ == end_) return false;
        ++next_;
        return true;
    }

    bool take_word(const char* word) {
        const std::size_t length = std::strlen(word);
        if (std::size_t(end_ - next_) < length || std::memcmp(next_, word, length)) return false;
        next_ += length;
        return true;
    }

    Json read(int depth) {
        if (depth > DEEPEST) fail("a shallower value");
        Json value;
        skip_space();
        if (take('{')) {
            value.kind = Json::OBJECT;
            if (take('}')) return value;
            do {
                skip_space();
                if (peek() != '"') fail("a name in quotes");
                const std::string name = string();
                if (!take(':')) fail("a colon");
                value.object[name] = read(depth + 1);
            } while (take(','));
            if (!take('}')) fail("a comma or }");
        } else if (take('[')) {
            value.kind = Json::LIST;
            if (take(']')) return value;
            do value.list.push_back(read(depth + 1));
            while (take(','));
            if (!take(']')) fail("a comma or ]");
        } else if (peek() == '"') {
            value.kind = Json::TEXT;
            value.text = string();
        } else if (take_word("true") || take_word("false")) {
            value.kind = Json::TRUTH;
            value.truth = next_[-2] == 'u';
        } else if (!take_word("null")) {
            value.kind = Json::NUMBER;
            value.number = number();
        }
        return value;
    }

    void digits() {
        if (peek() < '0' || peek() > '9') fail("a value");
        while (peek() >= '0' && peek() <= '9') ++next_;
    }

    double number() {
        const char* first = next_;
        if (peek() == '-') ++next_;
        if (peek() == '0') ++next_;
        else digits();
        if (peek() == '.') ++next_, digits();
        if (peek() == 'e' || peek() == 'E') {
            ++next_;
            if (peek() == '+' || peek() == '-') ++next_;
            digits();
        }
        return std::strtod(std::string(first, next_).c_str(), nullptr);
    }

    std::string string() {
        std::string found;
        ++next_;
        while (peek() != '"') {
            if (next_ == end_ || static_cast<unsigned char>(*next_) < 0x20) fail("the end of a string");
            if (*next_ != '\\') {
                found += *next_++;
                continue;
            }
            ++next_;
            static const char marks[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
            const char* mark = peek() ? std::strchr(marks, peek()) : nullptr;
            if (mark) found += meant[mark - marks], ++next_;
            else if (peek() == 'u') ++next_, add_utf8(found, code_point());
            else fail("an escape");
        }
        ++next_;
        return found;
    }

    unsigned four_digits() {
        unsigned value = 0;
        for (int i = 0; i < 4; ++i, ++next_) {
            static const char hexadecimal[] = "0123456789abcdef0123456789ABCDEF";
            const char* digit = peek() ? std::strchr(hexadecimal, peek()) : nullptr;
            if (!digit) fail("a hexadecimal digit");
            value = 16 * value + unsigned(digit - hexadecimal) % 16;
        }
        return value;
    }

    unsigned code_point() {
        const unsigned high = four_digits();
        if (high < 0xd800 || high > 0xdfff) return high;
        if (high > 0xdbff || !take_word("\\u")) fail("a pair of surrogates");
        const unsigned low = four_digits();
        if (low < 0xdc00 || low > 0xdfff) fail("a pair of surrogates");
        return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }

    static void add_utf8(std::string& text, unsigned code) {
        const int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        static const unsigned lead[] = {0, 0xc0, 0xe0, 0xf0};
        text += char(lead[more] | code >> 6 * more);
        for (int i = more - 1; i >= 0; --i) text += char(0x80 | (code >> 6 * i & 0x3f));
    }

    const char *next_, *end_, *start_;
};

}  // namespace

Json parse_json(const std::string& utf8) { return Reader(utf8).document(); }

const Json& Json::field(const std::string& name, Kind wanted) const {
    static const char* kinds[] = {"null", "true or false", "a number", "a text", "a list", "an object"};
    const auto found = object.find(name);
    if (found == object.end()) throw std::runtime_error("'" + name + "' is missing");
    if (found->second.kind != wanted)
        throw std::runtime_error("'" + name + "' must be " + kinds[wanted]);
    return found->second;
}

long long Json::whole(const std::string& name, long long least, long long most) const {
    const double value = field(name, NUMBER).number;
    if (!(value >= double(least) && value <= double(most)) || value != double((long long)value))
        throw std::runtime_error("'" + name + "' must be a whole number from " +
                                 std::to_string(least) + " to " + std::to_string(most));
    return (long long)value;
}

}  // namespace sam2lab
