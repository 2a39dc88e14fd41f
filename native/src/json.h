// A strict reader of JSON (RFC 8259) for bundle.json.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace sam2lab {

struct Json {
    enum Kind { NOTHING, TRUTH, NUMBER, TEXT, LIST, OBJECT };
    Kind kind = NOTHING;
    bool truth = false;
    double number = 0;
    std::string text;
    std::vector<Json> list;
    std::map<std::string, Json> object;

    // These throw a std::runtime_error that names the field, as does `parse_json` with the place.
    const Json& field(const std::string& name, Kind wanted) const;
    long long whole(const std::string& name, long long least, long long most) const;
};

Json parse_json(const std::string& utf8);

}  // namespace sam2lab
