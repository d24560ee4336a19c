#pragma once

#include "ReaderLocks.h"
#include "User.h"

#include <matrixos/abi/identity.h>
#include <matrixos/instance_record.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace matrixos::identity {

/// A role that an owner gave away, for one instance: to a user, or to whoever has that email, verified.
struct Share {
  std::string id, instanceId;
  std::string userId, email;          ///< one of them is empty
  std::uint32_t role = MOS_ROLE_NONE; ///< MOS_ROLE_USE or MOS_ROLE_MANAGE
  std::int64_t createdAt = 0;
};

/// Who may do what with which instance: its owner as the orchestrator has him, and whom the instance is shared with.
/// Any thread; looking up allocates nothing and waits for no other look-up.
class Access {
public:
  /// A record of the orchestrator's watch.
  void apply(const InstanceRecord &record);
  /// The watch has told everything: what it did not name since the last time is gone.
  void synced();
  /// All shares of an instance, in place of those before.
  void setShares(const std::string &instanceId, std::vector<Share> shares);
  std::vector<Share> sharesOf(std::string_view instanceId) const;

  /// MOS_ROLE_…; none for a handle that nobody has.
  std::uint32_t roleOf(std::string_view handle, std::string_view userId, std::string_view email,
                       bool emailVerified) const;
  std::uint32_t roleOf(std::string_view handle, const User &user) const {
    return roleOf(handle, user.id(), user.email(), user.emailVerified());
  }
  /// Empty for a handle that nobody has.
  std::string instanceIdOf(std::string_view handle) const;
  /// Instances that others share with the user, as JSON: {"bob": "use" | "manage"}; empty where there are none.
  std::string sharedWith(const User &user) const;
  /// Handles in which the user has a role, with that, in their order.
  std::vector<std::pair<std::string, std::uint32_t>> ofUser(const User &user) const;

private:
  struct Instance {
    std::string id, owner;
    std::uint64_t rev = 0, round = 0;
  };
  static std::uint32_t roleIn(const std::vector<Share> &shares, std::string_view userId, std::string_view email,
                              bool emailVerified);

  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  /// What each request is looked up in.
  template <typename Value>
  using ByText = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;
  using Shares = ByText<std::vector<Share>>;

  /// Roles by the id of the instance, by a user's id or an address in lower case.
  using BySubject = std::map<std::string, std::map<std::string, std::uint32_t>, std::less<>>;

  BySubject &subjectsOf(const Share &share) noexcept { return share.userId.empty() ? byEmail_ : byUser_; }
  void unindex(const Share &share);
  std::uint32_t roleIn(const Instance &instance, std::string_view userId, std::string_view email,
                       bool emailVerified) const;

  ReaderLocks locks_;
  ByText<Instance> instances_;                              ///< by handle
  std::map<std::string, std::string, std::less<>> handles_; ///< by id
  Shares shares_;
  BySubject byUser_, byEmail_; ///< the same, for whoever looks for what is shared with one
  std::uint64_t round_ = 1;
};

} // namespace matrixos::identity
