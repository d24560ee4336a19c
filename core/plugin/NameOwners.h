#pragma once

#include "plugin/Claim.h"
#include "plugin/EventSchema.h"

#include <map>
#include <mutex>
#include <string>
#include <string_view>
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
  /// Throws Error(InvalidArgument) as EventSchema::check when the plugin claims the topic with a schema that `json`
  /// does not fit.
  void checkEvent(const std::string &plugin, const std::string &topic, std::string_view json) const;

private:
  std::string whyNot(const std::string &plugin, const Claim &name) const;

  struct Described {
    Claim topic;
    EventSchema schema;
  };

  mutable std::mutex mutex_;
  std::map<std::string, std::vector<Claim>> claims_;
  std::map<std::string, std::vector<Described>> schemas_; ///< by plugin; those that claim topics with one
};

} // namespace matrixos::plugin
