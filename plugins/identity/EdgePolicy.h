#pragma once

#include "Access.h"
#include "ApiTokens.h"
#include "Codes.h"
#include "Hosts.h"
#include "PublicPaths.h"
#include "Sessions.h"

#include <matrixos/policy.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::identity {

/// "matrixos.policy/1": who reaches an instance, decided from memory, on the loops that carry all requests. For
/// somebody with a cookie it allocates nothing.
class EdgePolicy {
public:
  /// Why somebody does not reach an instance.
  enum class Refusal { NoSession, NotShared, OtherSite, Token, Code, Path };
  static constexpr std::array<std::string_view, 6> kRefusalNames{"no_session", "not_shared", "other_site",
                                                                 "token",      "code",       "path"};

  EdgePolicy(const Hosts &hosts, Sessions &sessions, const Access &access, Codes &codes, const ApiTokens &tokens,
             PublicPaths publicPaths);
  EdgePolicy(const EdgePolicy &) = delete;
  EdgePolicy &operator=(const EdgePolicy &) = delete;

  const mos_policy_v1 *table() const noexcept { return &table_; }
  /// How many there were; one without a session who is sent to sign in is one of them.
  std::uint64_t refusals(Refusal why) const noexcept { return countOf(why).load(std::memory_order_relaxed); }

private:
  struct Visitor;
  using Raw = const mos_policy_request *;

  void check(Raw raw) const;
  bool isSignedIn(const PolicyRequest &request, Visitor &visitor) const;
  void admit(Raw raw, const Visitor &visitor, std::string_view role) const;
  void askToken(Raw raw, std::string_view authorization) const;
  void askProgram(Raw raw, std::string_view authorization) const;
  void redeem(Raw raw, const Visitor &visitor) const;
  void sendToSignIn(Raw raw) const;
  void deny(Raw raw, Refusal why, unsigned status, std::string_view message) const;
  std::atomic<std::uint64_t> &countOf(Refusal why) const noexcept { return refusals_[static_cast<std::size_t>(why)]; }

  const Hosts &hosts_;
  Sessions &sessions_;
  const Access &access_;
  Codes &codes_;
  const ApiTokens &tokens_;
  const PublicPaths publicPaths_;
  mutable std::array<std::atomic<std::uint64_t>, kRefusalNames.size()> refusals_{};
  mos_policy_v1 table_{};
};

} // namespace matrixos::identity
