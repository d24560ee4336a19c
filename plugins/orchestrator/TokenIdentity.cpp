#include "TokenIdentity.h"

#include <matrixos/header_fields.hpp>

#include <http/codec/Bearer.h>

#include <string>
#include <string_view>

namespace matrixos::orchestrator {

namespace {

/// What a request brings along to prove who sent it.
struct Credentials {
  std::string_view first;
  bool several = false; ///< that differ: it is not clear which one counts
  bool ours = false;    ///< one of them looks like an instance's token

  void take(std::string_view text, bool isToken) noexcept {
    if (text.empty()) return;
    several = several || (!first.empty() && text != first);
    ours = ours || (isToken && http::isInstanceToken(text));
    if (first.empty()) first = text;
  }
};

Credentials credentialsOf(const mos_identity_request *request) {
  Credentials all;
  detail::eachHeader(request, [&](std::string_view name, std::string_view value) {
    if (detail::isSameField(name, "x-api-key")) all.take(http::trim(value), true);
    if (!detail::isSameField(name, "authorization")) return true;
    const std::string_view token = http::bearerToken(value);
    all.take(token.empty() ? http::trim(value) : token, !token.empty());
    return true;
  });
  return all;
}

} // namespace

TokenIdentity::TokenIdentity(InstanceOrchestrator &orchestrator) : orchestrator_(orchestrator) {
  table_.struct_size = sizeof table_;
  table_.minor = MOS_IDENTITY_1_MINOR;
  table_.self = this;
  table_.identify = [](void *self, const mos_identity_request *request, mos_error *error) {
    return guarded(error, [&] { static_cast<const TokenIdentity *>(self)->identify(request); });
  };
}

void TokenIdentity::identify(const mos_identity_request *request) const {
  const auto say = [&](const Principal &who) {
    const mos_principal given = who.abi();
    request->answer(request, &given);
  };
  const Credentials credentials = credentialsOf(request);
  if (!credentials.ours) return say(Principal::unknown());
  if (credentials.several)
    return say(Principal::refused(401, "two different credentials; send one", "TWO_CREDENTIALS"));
  const auto owner = orchestrator_.tokenOwner(credentials.first);
  if (!owner) return say(Principal::refused(401, "this token is no instance's, or no longer", "UNKNOWN_TOKEN"));
  const std::string id = "instance:" + owner->handle;
  say(Principal::instance(id));
}

} // namespace matrixos::orchestrator
