#pragma once

#include <sys/types.h>

#include <filesystem>
#include <vector>

namespace matrixos::daemon {

/// For a check by root of what another user's daemon will do: as long as it lives, the process acts as the one whom the
/// data directory belongs to, with his groups. Does nothing for other users, and where there is no data directory yet.
/// The program's only thread calls it.
class ServiceUser {
public:
  explicit ServiceUser(const std::filesystem::path &dataDir);
  ~ServiceUser();
  ServiceUser(const ServiceUser &) = delete;
  ServiceUser &operator=(const ServiceUser &) = delete;

  bool acts() const noexcept { return acts_; }

private:
  std::vector<gid_t> groups_; ///< root's own
  gid_t group_ = 0;
  bool acts_ = false;
};

} // namespace matrixos::daemon
