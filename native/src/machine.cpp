// What the operating system says of this process.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#if defined(_WIN32)
#include <windows.h>
#include <psapi.h>
#elif defined(__linux__)
#include <sched.h>
#include <unistd.h>
#else
#include <sys/resource.h>
#endif

#include "sam2lab.h"

namespace sam2lab {

void prepare_process() {
#ifdef _WIN32
    _putenv_s("ORT_DISABLE_TELEMETRY", "1");
#else
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
#endif
#ifdef __GLIBC__
    // Blocks of more than 64 kB return to the system whenever they are freed. Otherwise glibc puts
    // ever larger ones among the small ones, where they leave gaps: 2 to 9 MB after opening nano.
    mallopt(M_MMAP_THRESHOLD, 1 << 16);
#endif
}

#ifdef __linux__
namespace {

// The cores' worth of time that one control group is granted, as sam2lab/runtime/cores.py reads it.
double quota(const Path& group) {
    double time = 0, of = 0;
    std::ifstream(group / "cpu.max") >> time >> of;
    std::ifstream(group / "cpu.cfs_quota_us") >> time;
    std::ifstream(group / "cpu.cfs_period_us") >> of;
    return time > 0 && of > 0 ? time / of : std::numeric_limits<double>::infinity();
}

double granted() {
    double least = std::numeric_limits<double>::infinity();
    std::ifstream groups("/proc/self/cgroup");
    std::string number, controllers, path;
    while (std::getline(groups, number, ':') && std::getline(groups, controllers, ':') &&
           std::getline(groups, path)) {
        // Version 2 has one tree for all controllers, version 1 one for each.
        const bool is_one_tree = controllers.empty();
        if (!is_one_tree && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
        const Path root = is_one_tree ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
        // In a container the path may be the host's; there the root is the process's own group.
        least = std::min(least, quota(root));
        for (Path own = Path(path).relative_path(); !own.empty(); own = own.parent_path())
            least = std::min(least, quota(root / own));
    }
    return least;
}

}  // namespace

int fewer_cores() {
    const int all = int(sysconf(_SC_NPROCESSORS_ONLN));
    cpu_set_t set;
    const int allowed = sched_getaffinity(0, sizeof set, &set) ? all : CPU_COUNT(&set);
    const int usable = std::max(1, int(std::ceil(std::min(double(allowed), granted()))));
    return usable == all ? 0 : usable;
}

double peak_megabytes() {
    // Not getrusage, which on Linux begins with what the parent held when it forked.
    std::ifstream status("/proc/self/status");
    double kilobytes = 0;
    for (std::string word; status >> word;)
        if (word == "VmHWM:") status >> kilobytes;
    return kilobytes * 1024 / 1e6;
}
#else
int fewer_cores() { return 0; }

double peak_megabytes() {
#if defined(_WIN32)
    PROCESS_MEMORY_COUNTERS counters;
    GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters);
    return double(counters.PeakWorkingSetSize) / 1e6;
#else
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    // In kilobytes on every other system but macOS, which counts bytes.
#ifdef __APPLE__
    return double(usage.ru_maxrss) / 1e6;
#else
    return double(usage.ru_maxrss) * 1024 / 1e6;
#endif
#endif
}
#endif

}  // namespace sam2lab
