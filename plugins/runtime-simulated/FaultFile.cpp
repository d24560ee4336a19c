#include "FaultFile.h"

#include <matrixos/status.hpp>

#include <cstring>
#include <fstream>
#include <sstream>

namespace matrixos::simulated {

FaultFile::FaultFile(std::filesystem::path path, FaultScript &script, std::function<void(const std::string &)> problem)
    : path_(std::move(path)), script_(script), problem_(std::move(problem)) {}

void FaultFile::refresh() {
  if (path_.empty()) return;
  const std::lock_guard lock(mutex_);
  struct stat now {};
  const bool exists = ::stat(path_.c_str(), &now) == 0;
  if (!exists) now = {};
  const bool same = now.st_ino == seen_.st_ino && now.st_size == seen_.st_size &&
                    now.st_mtim.tv_sec == seen_.st_mtim.tv_sec && now.st_mtim.tv_nsec == seen_.st_mtim.tv_nsec;
  if (same) return;
  seen_ = now;
  mos_error error{};
  const mos_status status = guarded(&error, [&] {
    std::ostringstream text;
    if (exists) text << std::ifstream(path_, std::ios::binary).rdbuf();
    script_.replace(FaultScript::Source::File, exists ? FaultRule::parseJson(text.str()) : std::vector<FaultRule>{});
  });
  problem_(status == MOS_OK ? std::string() : path_.string() + ": " + error.message);
}

} // namespace matrixos::simulated
