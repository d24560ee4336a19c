#pragma once

#include <map>
#include <string>
#include <vector>

namespace matrixos::plugin {

struct Manifest;

/// Names that a plugin has for its own, see mos_claim; or, a path after "!", what it leaves of them to others.
struct Claim {
  std::string kind, pattern;
  std::string schema; ///< of a topic; may be empty
  std::string help;

  /// Throws Error(FailedPrecondition) for a kind that there is not, a pattern that is none of that kind, or one that
  /// takes in names of the platform or of everybody.
  void check() const;
  /// All that the other one is about.
  bool covers(const Claim &other) const;
  /// Both cover some name.
  bool overlaps(const Claim &other) const;
  bool operator==(const Claim &other) const = default;
};

/// What the plugin has of a kind: what of `all` it claims, or the names that begin with its id.
std::vector<Claim> claimsOf(const std::string &plugin, const std::vector<Claim> &all, const std::string &kind);

/// A path of the API that the daemon itself serves, or one below.
bool isHostPath(const std::string &path);

/// Whether one of the claims has to do with the name, and none leaves it to others.
bool isClaimed(const std::vector<Claim> &list, const Claim &name);

/// Plugins that claim what one before them claims, with what and who.
std::map<std::string, std::string> claimConflicts(const std::vector<const Manifest *> &plugins);

} // namespace matrixos::plugin
