#pragma once

#include "plugin/Claim.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::plugin {

/// Whose paths, topics and metrics are: those that a plugin claims, or else those that begin with its id; the host's
/// own; and what nobody has, which is anybody's. Tables have owners of their own (storage::TableOwners). Thread-safe.
class NameOwners {
public:
  /// The claims of the enabled plugins, by their ids. False when nothing is another.
  bool expect(std::map<std::string, std::vector<Claim>> claims);
  /// The sites among them, "wiki", in alphabetical order.
  std::vector<std::string> sites() const;
  /// Throws Error(PermissionDenied), reason "NAME_OWNED", that says whose the name is, and reports it.
  void check(const std::string &plugin, const std::string &kind, const std::string &name) const;

private:
  std::string whyNot(const std::string &plugin, const Claim &name) const;

  mutable std::mutex mutex_;
  std::map<std::string, std::vector<Claim>> claims_;
};

} // namespace matrixos::plugin
