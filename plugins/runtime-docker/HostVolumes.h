#pragma once

#include "Settings.h"

#include <matrixos/call.hpp>

#include <string>
#include <string_view>

namespace matrixos::docker {

/// True for an absolute path in normal form, without ".", "..", empty parts, colons and control characters: what may
/// stand in an engine's bind and means the same to everybody who resolves it.
bool isPlainPath(std::string_view path) noexcept;

/// Volumes as directories of this machine, laid out like the users directory:
///
///     <users_dir>/<handle>/<name>                    the volume; its path is its ref
///     <users_dir>/.trash/<as>                        what was <users_dir>/<handle>
///     <users_dir>/.snapshots/<as>                    a copy of <users_dir>/<handle>
///
/// so <users_dir> is the volume's grandparent. It belongs to the operator and may be a symlink; below it nothing is
/// followed. Thread-safe. Fails with Error: InvalidArgument/BAD_VOLUME for a path that may be no volume,
/// FailedPrecondition, PermissionDenied or ResourceExhausted with the system's words.
class HostVolumes {
public:
  explicit HostVolumes(const Settings &settings) : settings_(settings) {}

  /// Makes the directory, mode 0700, if it is missing; true when it made it.
  bool ensure(const std::string &path) const;
  /// Throws unless `path` may be a volume and is a directory reached without symlinks below <users_dir>.
  void check(const std::string &path) const;
  /// Moves the user's directory to the trash, in one rename. Absent already is success; a name that is taken gets a
  /// number.
  void trash(const std::string &path, const std::string &as) const;
  /// Copies the user's directory. Existing already is success; a copy that was cut short is started anew.
  void snapshot(const Call &call, const std::string &path, const std::string &as) const;

private:
  struct Place;
  Place placeOf(const std::string &path) const;

  const Settings &settings_;
};

} // namespace matrixos::docker
