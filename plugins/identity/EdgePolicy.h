#pragma once

#include "Access.h"
#include "ApiTokens.h"
#include "Codes.h"
#include "Hosts.h"
#include "PublicPaths.h"
#include "Sessions.h"

#include <matrixos/policy.hpp>

#include <string>
#include <string_view>

namespace matrixos::identity {

/// "matrixos.policy/1": who reaches an instance, decided from memory, on the loops that carry all requests. For
/// somebody with a cookie it allocates nothing.
class EdgePolicy {
public:
  EdgePolicy(const Hosts &hosts, Sessions &sessions, const Access &access, Codes &codes, const ApiTokens &tokens,
             PublicPaths publicPaths);
  EdgePolicy(const EdgePolicy &) = delete;
  EdgePolicy &operator=(const EdgePolicy &) = delete;

  const mos_policy_v1 *table() const noexcept { return &table_; }

private:
  struct Visitor;
  using Raw = const mos_policy_request *;

  void check(Raw raw) const;
  bool isSignedIn(const PolicyRequest &request, Visitor &visitor) const;
  void admit(Raw raw, const Visitor &visitor, std::string_view role) const;
  void askToken(Raw raw, std::string_view authorization) const;
  void redeem(Raw raw, const Visitor &visitor) const;
  void sendToSignIn(Raw raw) const;
  static void deny(Raw raw, unsigned status, std::string_view message);

  const Hosts &hosts_;
  Sessions &sessions_;
  const Access &access_;
  Codes &codes_;
  const ApiTokens &tokens_;
  const PublicPaths publicPaths_;
  mos_policy_v1 table_{};
};

} // namespace matrixos::identity
