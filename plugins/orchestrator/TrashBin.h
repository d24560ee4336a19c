/// What deleted instances left behind.
#pragma once

#include "Operation.h"

#include <matrixos/file_descriptor.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace matrixos::orchestrator {

/// The folder <users_dir>/.trash, with the data of deleted instances under their ids, for `trash_keep`. Only that of
/// this installation, and no link is followed. Blocks on the disk; any thread where that is allowed.
class TrashBin {
public:
  explicit TrashBin(const Workshop &workshop) : shop_(workshop) {}

  struct Item {
    std::string id;     ///< its name in the trash: the instance's id, with a number behind a point when it is taken
    std::string handle; ///< that it had; "" when nobody knows any more
    std::string clerkUserId;
    std::int64_t deletedAt = 0;
  };
  /// Oldest first. Throws Error when the folder cannot be read; empty when there is none.
  std::vector<Item> list() const;
  /// For good. Throws Error(NotFound).
  void purge(const std::string &id) const;
  /// Puts it back as the home of its handle, which its owner's next provision takes up. Gives the handle. Throws
  /// Error(NotFound), Error(FailedPrecondition) when the handle is not known or in use.
  std::string restore(const std::string &id) const;
  /// Purges what has lain there for longer than it is kept. Never throws.
  void expire() const noexcept;

private:
  FileDescriptor openUsers() const;
  FileDescriptor openTrash(int users) const;

  const Workshop &shop_;
};

} // namespace matrixos::orchestrator
