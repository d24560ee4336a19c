#include "ctl/UserFolders.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace matrixos::ctl {

namespace fs = std::filesystem;

namespace {

/// Not a $HOME of somebody else's, which sudo may keep: what root keeps has no business there.
fs::path home() {
  const char *given = std::getenv("HOME");
  struct stat info {};
  if (given != nullptr && fs::path(given).is_absolute() && ::stat(given, &info) == 0 && info.st_uid == ::geteuid())
    return given;
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd *found = nullptr;
  if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
  return entry.pw_dir;
}

} // namespace

fs::path userFolder(const char *variable, const char *usual) {
  const char *given = std::getenv(variable);
  const fs::path folder = given != nullptr && *given != '\0' ? fs::path(given) : home() / usual;
  return folder.is_absolute() ? folder : fs::path();
}

} // namespace matrixos::ctl
