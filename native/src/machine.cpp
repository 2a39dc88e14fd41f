#include "machine.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>

#ifdef _WIN32
#include <windows.h>
#include <psapi.h>
#else
#include <sys/resource.h>
#endif
#ifdef __linux__
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "files.h"

namespace sam2lab {

void give_back_memory() {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void keep_large_blocks_apart() {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 16);
#endif
}

void give_back([[maybe_unused]] char* block, [[maybe_unused]] std::size_t size) {
#ifdef __linux__
    const auto page = std::uintptr_t(sysconf(_SC_PAGESIZE));
    const auto first = (std::uintptr_t(block) + page - 1) / page * page;
    const auto last = (std::uintptr_t(block) + size) / page * page;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
#endif
}

#ifdef __linux__
namespace {

const double WITHOUT_END = std::numeric_limits<double>::infinity();

// A file of the kernel's, or nothing where it cannot be read.
std::string kernel_says(const Path& path) {
    try {
        const Bytes content = read_file(path);
        return std::string(content.begin(), content.end());
    } catch (const std::exception&) {
        return {};
    }
}

// The cores' worth of time that one control group is granted, as sam2lab/runtime/cores.py reads it.
double quota(const Path& group) {
    std::string said = kernel_says(group / "cpu.max");
    if (said.empty())
        said = kernel_says(group / "cpu.cfs_quota_us") + " " + kernel_says(group / "cpu.cfs_period_us");
    double time = 0, of = 0;
    const bool limited = std::sscanf(said.c_str(), "%lf %lf", &time, &of) == 2 && time > 0 && of > 0;
    return limited ? time / of : WITHOUT_END;
}

double granted() {
    double least = WITHOUT_END;
    const std::string groups = kernel_says("/proc/self/cgroup");
    for (std::size_t start = 0, end; (end = groups.find('\n', start)) != std::string::npos; start = end + 1) {
        const std::string line = groups.substr(start, end - start);
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        // Version 2 has one tree for all controllers, version 1 one for each.
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        if (controllers != ",," && controllers.find(",cpu,") == std::string::npos) continue;
        const Path root = controllers == ",," ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
        // In a container the path may be the host's; there the root is the process's own group.
        least = std::min(least, quota(root));
        for (Path own = Path(line.substr(second + 1)).relative_path(); !own.empty(); own = own.parent_path())
            least = std::min(least, quota(root / own));
    }
    return least;
}

}  // namespace

int fewer_cores() {
    const int all = int(sysconf(_SC_NPROCESSORS_ONLN));
    cpu_set_t set;
    const int allowed = sched_getaffinity(0, sizeof set, &set) ? all : CPU_COUNT(&set);
    const double time = granted();
    const int usable = time >= allowed ? allowed : std::max(1, int(std::ceil(time)));
    return usable == all ? 0 : usable;
}

double peak_megabytes() {
    // Not getrusage, which on Linux begins with what the parent held when it forked.
    const std::string status = kernel_says("/proc/self/status");
    const std::size_t place = status.find("VmHWM:");
    return place == std::string::npos ? 0 : std::atof(status.c_str() + place + 6) * 1024 / 1e6;
}
#elif defined(_WIN32)
int fewer_cores() { return 0; }

double peak_megabytes() {
    PROCESS_MEMORY_COUNTERS counters;
    GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters);
    return double(counters.PeakWorkingSetSize) / 1e6;
}
#else
int fewer_cores() { return 0; }

double peak_megabytes() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    // In kilobytes on every other system but macOS, which counts bytes.
#ifdef __APPLE__
    return double(usage.ru_maxrss) / 1e6;
#else
    return double(usage.ru_maxrss) * 1024 / 1e6;
#endif
}
#endif

}  // namespace sam2lab
