// The part of onnxruntime's C interface that this program uses, by its place in `OrtApi`.
//
// The table only ever grows at its end, so places hold for every later version. Microsoft's header
// is 5,000 lines, and neither a wheel nor most distributions bring it; where it is found,
// check_interface.cpp compares each place and value with it when the program is compiled.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef _WIN32
#define SAM2LAB_ORT_CALL __stdcall
#else
#define SAM2LAB_ORT_CALL
#endif

namespace sam2lab::ort {

// The first version that runs opset 20, which is onnxruntime 1.17.
const std::uint32_t API_VERSION = 17;

#ifdef _WIN32
using PathChar = wchar_t;
#else
using PathChar = char;
#endif

struct Env;
struct Status;
struct Session;
struct SessionOptions;
struct RunOptions;
struct MemoryInfo;
struct Value;

enum Logging : int { LOG_ERRORS = 3 };
enum AllocatorType : int { NO_ARENA = 0 };
enum MemoryType : int { DEFAULT_MEMORY = 0 };
enum ElementType : int { FLOAT = 1 };

template <class Result, class... Arguments>
using Function = Result(SAM2LAB_ORT_CALL*)(Arguments...);
using Other = void*;

// Memory that the program gives. Later versions have more members, which they leave alone in one
// of an older version.
struct Allocator {
    std::uint32_t version;
    Function<void*, Allocator*, std::size_t> Alloc;
    Function<void, Allocator*, void*> Free;
    Function<const MemoryInfo*, const Allocator*> Info;
};

struct Api {
    Other others_0[2];
    Function<const char*, const Status*> GetErrorMessage;                     // 2
    Function<Status*, Logging, const char*, Env**> CreateEnv;                 // 3
    Other others_4[3];
    Function<Status*, const Env*, const PathChar*, const SessionOptions*,
             Session**> CreateSession;                                        // 7
    Other others_8[1];
    Function<Status*, Session*, const RunOptions*, const char* const*, const Value* const*,
             std::size_t, const char* const*, std::size_t, Value**> Run;      // 9
    Function<Status*, SessionOptions**> CreateSessionOptions;                 // 10
    Other others_11[6];
    Function<Status*, SessionOptions*> DisableMemPattern;                     // 17
    Other others_18[6];
    Function<Status*, SessionOptions*, int> SetIntraOpNumThreads;             // 24
    Other others_25[24];
    Function<Status*, const MemoryInfo*, void*, std::size_t, const std::int64_t*, std::size_t,
             ElementType, Value**> CreateTensorWithDataAsOrtValue;            // 49
    Other others_50[19];
    Function<Status*, AllocatorType, MemoryType, MemoryInfo**> CreateCpuMemoryInfo;  // 69
    Other others_70[22];
    Function<void, Env*> ReleaseEnv;                                          // 92
    Function<void, Status*> ReleaseStatus;                                    // 93
    Function<void, MemoryInfo*> ReleaseMemoryInfo;                            // 94
    Function<void, Session*> ReleaseSession;                                  // 95
    Function<void, Value*> ReleaseValue;                                      // 96
    Other others_97[3];
    Function<void, SessionOptions*> ReleaseSessionOptions;                    // 100
    Other others_101[29];
    Function<Status*, SessionOptions*, const char*, const char*> AddSessionConfigEntry;  // 130
    Other others_131[45];
    Function<Status*, Env*, Allocator*> RegisterAllocator;                    // 176
};

struct ApiBase {
    Function<const Api*, std::uint32_t> GetApi;
    Function<const char*> GetVersionString;
};

}  // namespace sam2lab::ort
