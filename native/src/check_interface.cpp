// Compares onnxruntime_interface.h with onnxruntime's own header, where CMake has found that.
#include <type_traits>

#include <onnxruntime_c_api.h>

#include "onnxruntime_interface.h"

namespace sam2lab::ort {

#define SAME_PLACE(type, ours, member)                                                    \
    static_assert(offsetof(ours, member) == offsetof(type, member), #member " is moved"); \
    static_assert(sizeof(ours::member) == sizeof(type::member), #member " is no function")
#define SAME(member) SAME_PLACE(OrtApi, Api, member)
#define SAME_VALUE(ours, theirs) static_assert(int(ours) == int(theirs), #theirs " is another")

SAME(GetErrorMessage);
SAME(CreateEnv);
SAME(CreateSession);
SAME(Run);
SAME(CreateSessionOptions);
SAME(DisableMemPattern);
SAME(SetIntraOpNumThreads);
SAME(CreateTensorWithDataAsOrtValue);
SAME(CreateCpuMemoryInfo);
SAME(ReleaseEnv);
SAME(ReleaseStatus);
SAME(ReleaseMemoryInfo);
SAME(ReleaseSession);
SAME(ReleaseValue);
SAME(ReleaseSessionOptions);
SAME(AddSessionConfigEntry);
SAME(RegisterAllocator);
SAME_PLACE(OrtApiBase, ApiBase, GetApi);
SAME_PLACE(OrtApiBase, ApiBase, GetVersionString);
SAME_PLACE(OrtAllocator, Allocator, Alloc);
SAME_PLACE(OrtAllocator, Allocator, Free);
SAME_PLACE(OrtAllocator, Allocator, Info);
SAME_VALUE(LOG_ERRORS, ORT_LOGGING_LEVEL_ERROR);
SAME_VALUE(NO_ARENA, OrtDeviceAllocator);
SAME_VALUE(DEFAULT_MEMORY, OrtMemTypeDefault);
SAME_VALUE(FLOAT, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
static_assert(sizeof(FLOAT) == sizeof(ONNXTensorElementDataType), "numbers have another size");
static_assert(std::is_same_v<PathChar, ORTCHAR_T>, "paths have another letter");
static_assert(API_VERSION <= ORT_API_VERSION, "this header is older than the interface");

}  // namespace sam2lab::ort
