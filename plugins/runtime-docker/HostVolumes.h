#pragma once

#include "Settings.h"

#include <matrixos/directory_volumes.hpp>

#include <string>

namespace matrixos::docker {

/// The SDK's volumes as directories, with this plugin's settings: see matrixos/directory_volumes.hpp.
class HostVolumes {
public:
  explicit HostVolumes(const Settings &settings) : settings_(settings) {}

  bool ensure(const std::string &path, const DirectoryVolumes::Known &known = {}) const {
    return volumes().ensure(path, known);
  }
  void check(const std::string &path) const { volumes().check(path); }
  void trash(const std::string &path, const std::string &as) const { volumes().trash(path, as); }
  void removeIfEmpty(const std::string &path) const { volumes().removeIfEmpty(path); }
  void snapshot(const Call &call, const std::string &path, const std::string &as) const {
    volumes().snapshot(call, path, as);
  }

private:
  DirectoryVolumes volumes() const { return DirectoryVolumes({settings_.volumeRoots, settings_.volumeOwner, false}); }

  const Settings &settings_;
};

} // namespace matrixos::docker
