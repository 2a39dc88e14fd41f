// Finds onnxruntime's shared library and opens it while the program runs.
#include <algorithm>
#include <cstdlib>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

#include "sam2lab.h"

namespace sam2lab {
namespace {

namespace fs = std::filesystem;

const char VARIABLE[] = "SAM2LAB_ONNXRUNTIME";
const char HOW_TO_GET_IT[] =
    "; give the library's file with --onnxruntime (a wheel has it in onnxruntime/capi/), or "
    "install onnxruntime 1.17 or newer";

// Names by which the system's loader finds a library, and how its file in a wheel begins.
#if defined(_WIN32)
const std::vector<Path> SYSTEM_NAMES = {"onnxruntime.dll"};
const char WHEEL_FILE[] = "onnxruntime.dll";
#elif defined(__APPLE__)
const std::vector<Path> SYSTEM_NAMES = {"libonnxruntime.dylib"};
const char WHEEL_FILE[] = "libonnxruntime.";
#else
const std::vector<Path> SYSTEM_NAMES = {"libonnxruntime.so.1", "libonnxruntime.so"};
const char WHEEL_FILE[] = "libonnxruntime.so";
#endif

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

// Onnxruntime's entry, or null and the reason. The library stays open until the program ends.
const ort::ApiBase* open_library(const Path& path, std::string& reason) {
    void* entry = nullptr;
    reason = "it lacks OrtGetApiBase";
#ifdef _WIN32
    // The wheel's library finds its neighbours, such as DirectML, beside itself.
    const DWORD flags = path.is_absolute() ? LOAD_WITH_ALTERED_SEARCH_PATH : 0;
    HMODULE library = LoadLibraryExW(path.c_str(), nullptr, flags);
    if (library) entry = reinterpret_cast<void*>(GetProcAddress(library, "OrtGetApiBase"));
    else reason = text("error ", GetLastError());
#else
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library) entry = dlsym(library, "OrtGetApiBase");
    else reason = dlerror();
#endif
    return entry ? reinterpret_cast<ort::Function<const ort::ApiBase*>>(entry)() : nullptr;
}

const ort::Api* open_api(const Path& path, std::string& reason) {
    const ort::ApiBase* base = open_library(path, reason);
    if (!base) return nullptr;
    const std::string version = base->GetVersionString();
    reason = "it is onnxruntime " + version;
    // Of a version that it does not know, the library itself prints a line.
    const bool is_old = version.compare(0, 2, "1.") == 0 &&
                        std::atoi(version.c_str() + 2) < int(ort::API_VERSION);
    return is_old ? nullptr : base->GetApi(ort::API_VERSION);
}

// The files in `folder`, or none where it cannot be read.
std::vector<Path> files_in(const Path& folder) {
    std::vector<Path> found;
    std::error_code error;
    for (const auto& each : fs::directory_iterator(folder, error)) found.push_back(each.path());
    std::sort(found.begin(), found.end());
    return found;
}

// The system's library, and those that the active Python environment has: Conda's own, and wheels'.
std::vector<Path> places() {
    std::vector<Path> libraries = SYSTEM_NAMES;
    for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
        const std::string prefix = variable(name);
        if (prefix.empty()) continue;
        libraries.push_back(path_of(prefix) / "lib" / SYSTEM_NAMES[0]);
        std::vector<Path> parents = files_in(path_of(prefix) / "lib");
        parents.push_back(path_of(prefix) / "Lib");
        for (const Path& parent : parents)
            for (const Path& each : files_in(parent / "site-packages" / "onnxruntime" / "capi"))
                if (name_of(each.filename()).find(WHEEL_FILE) == 0) libraries.push_back(each);
    }
    return libraries;
}

}  // namespace

const ort::Api& open_onnxruntime(const std::string& given) {
    const std::string asked = given.empty() ? variable(VARIABLE) : given;
    std::string reason, unfit;
    if (!asked.empty()) {
        // A name without a folder is a file too, not one that the system's loader looks for.
        if (const ort::Api* api = open_api(fs::absolute(path_of(asked)), reason)) return *api;
        throw Failure(LIBRARY, given.empty() ? VARIABLE : "--onnxruntime", " is ", asked,
                      ", which cannot be used (", reason, ")", HOW_TO_GET_IT);
    }
    for (const Path& each : places()) {
        if (const ort::Api* api = open_api(each, reason)) return *api;
        if (reason.find("it is") == 0) unfit += text(" (", name_of(each), ": ", reason, ")");
    }
    throw Failure(LIBRARY, "no onnxruntime was found, neither the system's nor in a Python "
                  "environment that is active", unfit, HOW_TO_GET_IT);
}

}  // namespace sam2lab
