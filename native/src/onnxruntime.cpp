#include "onnxruntime.h"

#include <algorithm>
#include <cstdlib>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

#include "failure.h"

namespace sam2lab {
namespace {

namespace fs = std::filesystem;

const char VARIABLE[] = "SAM2LAB_ONNXRUNTIME";
const char HOW_TO_GET_IT[] =
    "; give the library's file with --onnxruntime (a wheel has it in onnxruntime/capi/), or install "
    "onnxruntime 1.17 or newer";

// Names by which the system's loader finds a library, and how its file in a wheel begins.
#if defined(_WIN32)
const char* const SYSTEM_NAMES[] = {"onnxruntime.dll"};
const char WHEEL_FILE[] = "onnxruntime.dll";
#elif defined(__APPLE__)
const char* const SYSTEM_NAMES[] = {"libonnxruntime.dylib"};
const char WHEEL_FILE[] = "libonnxruntime.";
#else
const char* const SYSTEM_NAMES[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
const char WHEEL_FILE[] = "libonnxruntime.so";
#endif

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

// Onnxruntime's entry, or null and the reason. The library stays open until the program ends.
const ort::ApiBase* open_library(const Path& path, std::string& reason) {
    using Entry = ort::Function<const ort::ApiBase*>;
    Entry entry = nullptr;
#ifdef _WIN32
    // The wheel's library finds its neighbours, such as DirectML, beside itself.
    const DWORD flags = path.is_absolute() ? LOAD_WITH_ALTERED_SEARCH_PATH : 0;
    if (HMODULE library = LoadLibraryExW(path.c_str(), nullptr, flags))
        entry = reinterpret_cast<Entry>(reinterpret_cast<void*>(GetProcAddress(library, "OrtGetApiBase")));
    else reason = text({"error ", GetLastError()});
#else
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL))
        entry = reinterpret_cast<Entry>(dlsym(library, "OrtGetApiBase"));
    else reason = dlerror();
#endif
    if (!entry && reason.empty()) reason = "it lacks OrtGetApiBase";
    return entry ? entry() : nullptr;
}

const ort::Api* open_api(const Path& path, std::string& reason) {
    const ort::ApiBase* base = open_library(path, reason);
    if (!base) return nullptr;
    // Of a version that it does not know, the library itself prints a line.
    const std::string version = base->GetVersionString();
    const int minor = version.compare(0, 2, "1.") ? 999 : std::atoi(version.c_str() + 2);
    const ort::Api* api = minor < int(ort::API_VERSION) ? nullptr : base->GetApi(ort::API_VERSION);
    if (!api) reason = "it is onnxruntime " + version;
    return api;
}

// The files in `folder`, or none where it cannot be read.
std::vector<Path> files_in(const Path& folder) {
    std::vector<Path> found;
    std::error_code error;
    for (fs::directory_iterator each(folder, error), end; !error && each != end; each.increment(error))
        found.push_back(each->path());
    std::sort(found.begin(), found.end());
    return found;
}

// Where the active Python environment may have a library: Conda's own, and those of wheels.
std::vector<Path> in_environments() {
    std::vector<Path> libraries, packages;
    for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
        const std::string prefix = variable(name);
        if (prefix.empty()) continue;
        const Path root = path_of(prefix);
        libraries.push_back(root / "lib" / SYSTEM_NAMES[0]);
        packages.push_back(root / "Lib" / "site-packages");
        for (const Path& each : files_in(root / "lib"))
            if (name_of(each.filename()).compare(0, 7, "python3") == 0)
                packages.push_back(each / "site-packages");
    }
    for (const Path& folder : packages)
        for (const Path& each : files_in(folder / "onnxruntime" / "capi"))
            if (name_of(each.filename()).compare(0, sizeof WHEEL_FILE - 1, WHEEL_FILE) == 0)
                libraries.push_back(each);
    return libraries;
}

const ort::Api* find_api(const std::string& given) {
    const std::string asked = given.empty() ? variable(VARIABLE) : given;
    std::string reason;
    if (!asked.empty()) {
        // A name without a folder is a file too, not one that the system's loader looks for.
        if (const ort::Api* api = open_api(fs::absolute(path_of(asked)), reason)) return api;
        throw Failure(LIBRARY, {given.empty() ? VARIABLE : "--onnxruntime", " is ", asked,
                      ", which cannot be used (", reason, ")", HOW_TO_GET_IT});
    }
    std::vector<Path> places(std::begin(SYSTEM_NAMES), std::end(SYSTEM_NAMES));
    for (const Path& each : in_environments()) places.push_back(each);
    std::string unfit;
    for (const Path& each : places) {
        reason.clear();
        if (const ort::Api* api = open_api(each, reason)) return api;
        if (reason.compare(0, 5, "it is") == 0) unfit += text({" (", name_of(each), ": ", reason, ")"});
    }
    throw Failure(LIBRARY, {"no onnxruntime was found, neither the system's nor in a Python environment "
                  "that is active", unfit, HOW_TO_GET_IT});
}

}  // namespace

Runtime::Runtime(const std::string& given) {
#ifdef _WIN32
    _putenv_s("ORT_DISABLE_TELEMETRY", "1");
#else
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
#endif
    api_ = find_api(given);
    ort::MemoryInfo* memory = nullptr;
    check(api_->CreateCpuMemoryInfo(ort::NO_ARENA, ort::DEFAULT_MEMORY, &memory));
    memory_.reset(memory, api_->ReleaseMemoryInfo);
    pool_ = std::make_shared<Pool>(memory);
    ort::Env* env = nullptr;
    check(api_->CreateEnv(ort::LOG_ERRORS, "sam2lab-segment", &env));
    env_.reset(env, api_->ReleaseEnv);
    check(api_->RegisterAllocator(env, pool_.get()));
}

void Runtime::check(ort::Status* status) const {
    if (!status) return;
    const std::string message = api_->GetErrorMessage(status);
    api_->ReleaseStatus(status);
    throw std::runtime_error(message);
}

Tensor::Tensor(const Runtime& runtime, ort::Value* value)
    : runtime_(&runtime), value_(value, runtime.api().ReleaseValue) {}

Tensor::Tensor(const Runtime& runtime, std::vector<float>& data, std::vector<std::int64_t> shape)
    : runtime_(&runtime) {
    ort::Value* value = nullptr;
    runtime.check(runtime.api().CreateTensorWithDataAsOrtValue(
        runtime.memory(), data.data(), data.size() * sizeof(float), shape.data(), shape.size(), ort::FLOAT,
        &value));
    value_.reset(value, runtime.api().ReleaseValue);
}

const float* Tensor::data() const {
    void* data = nullptr;
    runtime_->check(runtime_->api().GetTensorMutableData(value_.get(), &data));
    return static_cast<const float*>(data);
}

void Tensor::check_shape(const char* name, const std::vector<std::int64_t>& wanted) const {
    const ort::Api& api = runtime_->api();
    ort::ShapeInfo* found = nullptr;
    runtime_->check(api.GetTensorTypeAndShape(value_.get(), &found));
    const std::shared_ptr<ort::ShapeInfo> info(found, api.ReleaseTensorTypeAndShapeInfo);
    ort::ElementType kind{};
    std::size_t count = 0;
    runtime_->check(api.GetTensorElementType(found, &kind));
    runtime_->check(api.GetDimensionsCount(found, &count));
    std::vector<std::int64_t> shape(count);
    runtime_->check(api.GetDimensions(found, shape.data(), count));
    if (kind != ort::FLOAT || shape != wanted)
        throw Failure(MODEL, {"the model's '", name, "' has another shape or type than its bundle.json says; "
                      "export it anew"});
}

Session::Session(const Runtime& runtime, const Path& graph, int threads) : runtime_(runtime), graph_(graph) {
    const ort::Api& api = runtime.api();
    try {
        ort::SessionOptions* options = nullptr;
        runtime.check(api.CreateSessionOptions(&options));
        const std::shared_ptr<ort::SessionOptions> kept(options, api.ReleaseSessionOptions);
        // What sam2lab sets, as far as C can: `enable_mem_reuse` is in Python alone.
        runtime.check(api.DisableMemPattern(options));
        runtime.check(api.AddSessionConfigEntry(options, "session.use_env_allocators", "1"));
        runtime.check(api.SetIntraOpNumThreads(options, threads));
        ort::Session* session = nullptr;
        runtime.check(api.CreateSession(runtime.env(), graph.c_str(), options, &session));
        session_.reset(session, api.ReleaseSession);
    } catch (const std::exception& reason) {
        throw Failure(MODEL, {name_of(graph), " cannot be opened by onnxruntime: ", reason.what()});
    }
}

std::vector<Tensor> Session::run(const std::vector<Input>& inputs,
                                 const std::vector<const char*>& outputs) const {
    std::vector<const char*> names;
    std::vector<const ort::Value*> values;
    for (const Input& each : inputs) names.push_back(each.name), values.push_back(each.tensor.value());
    std::vector<ort::Value*> found(outputs.size(), nullptr);
    try {
        runtime_.check(runtime_.api().Run(session_.get(), nullptr, names.data(), values.data(), names.size(),
                                          outputs.data(), outputs.size(), found.data()));
    } catch (const std::exception& reason) {
        throw Failure(MODEL, {name_of(graph_), " fails in onnxruntime: ", reason.what()});
    }
    std::vector<Tensor> tensors;
    for (ort::Value* each : found) tensors.emplace_back(runtime_, each);
    return tensors;
}

}  // namespace sam2lab
