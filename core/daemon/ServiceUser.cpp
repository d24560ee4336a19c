#include "daemon/ServiceUser.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace matrixos::daemon {

ServiceUser::ServiceUser(const std::filesystem::path &dataDir) {
  struct stat info {};
  if (::geteuid() != 0 || ::stat(dataDir.c_str(), &info) != 0 || info.st_uid == 0) return;
  group_ = ::getegid();
  groups_.resize(static_cast<std::size_t>(std::max(0, ::getgroups(0, nullptr))));
  groups_.resize(static_cast<std::size_t>(std::max(0, ::getgroups(static_cast<int>(groups_.size()), groups_.data()))));
  const passwd *user = ::getpwuid(info.st_uid);
  const gid_t group = user != nullptr ? user->pw_gid : info.st_gid;
  const bool grouped = user != nullptr ? ::initgroups(user->pw_name, group) == 0 : ::setgroups(1, &group) == 0;
  // Where root may not change who it is, it checks as root.
  acts_ = grouped && ::setegid(group) == 0 && ::seteuid(info.st_uid) == 0;
}

ServiceUser::~ServiceUser() {
  if (!acts_) return;
  [[maybe_unused]] const bool back =
      ::seteuid(0) == 0 && ::setegid(group_) == 0 && ::setgroups(groups_.size(), groups_.data()) == 0;
}

} // namespace matrixos::daemon
