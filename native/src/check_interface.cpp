// Compares onnxruntime_interface.h with onnxruntime's own header, where CMake has found that.
#include <type_traits>

#include <onnxruntime_c_api.h>

#include "onnxruntime_interface.h"

namespace sam2lab::ort {

#define SAME_PLACE(type, ours, member)                                                    \
    static_assert(offsetof(ours, member) == offsetof(type, member), #member " is moved"); \
    static_assert(sizeof(ours::member) == sizeof(type::member), #member " is no function")
#define SAME(member) SAME_PLACE(OrtApi, Api, member)

SAME_PLACE(OrtApiBase, ApiBase, GetApi);
SAME_PLACE(OrtApiBase, ApiBase, GetVersionString);
SAME(GetErrorMessage);
SAME(CreateEnv);
SAME(CreateSession);
SAME(Run);
SAME(CreateSessionOptions);
SAME(DisableMemPattern);
SAME(SetIntraOpNumThreads);
SAME(CreateTensorWithDataAsOrtValue);
SAME(GetTensorMutableData);
SAME(GetTensorElementType);
SAME(GetDimensionsCount);
SAME(GetDimensions);
SAME(GetTensorTypeAndShape);
SAME(CreateCpuMemoryInfo);
SAME(ReleaseEnv);
SAME(ReleaseStatus);
SAME(ReleaseMemoryInfo);
SAME(ReleaseSession);
SAME(ReleaseValue);
SAME(ReleaseTensorTypeAndShapeInfo);
SAME(ReleaseSessionOptions);
SAME(AddSessionConfigEntry);
SAME(RegisterAllocator);
SAME_PLACE(OrtAllocator, Allocator, Alloc);
SAME_PLACE(OrtAllocator, Allocator, Free);
SAME_PLACE(OrtAllocator, Allocator, Info);

static_assert(std::is_same_v<PathChar, ORTCHAR_T>, "paths have another letter");
static_assert(int(LOG_ERRORS) == int(ORT_LOGGING_LEVEL_ERROR), "levels of logging are others");
static_assert(int(NO_ARENA) == int(OrtDeviceAllocator), "kinds of allocators are others");
static_assert(int(DEFAULT_MEMORY) == int(OrtMemTypeDefault), "kinds of memory are others");
static_assert(int(FLOAT) == int(ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT), "kinds of numbers are others");
static_assert(sizeof(FLOAT) == sizeof(ONNXTensorElementDataType), "kinds of numbers have another size");
static_assert(API_VERSION <= ORT_API_VERSION, "this header is older than the interface");

}  // namespace sam2lab::ort
