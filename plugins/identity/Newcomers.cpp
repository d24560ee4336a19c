#include "Newcomers.h"

#include <matrixos/json.hpp>
#include <matrixos/signup.hpp>

#include <algorithm>
#include <chrono>

namespace matrixos::identity {

Newcomers::SignUp Newcomers::welcome(const User &user, std::string_view username) const {
  if (!isOpen_()) return {};
  const auto own = access_.ofUser(user);
  if (std::any_of(own.begin(), own.end(), [](const auto &one) { return one.second == MOS_ROLE_OWNER; })) return {};
  try {
    const CallScope call(std::chrono::seconds{10});
    const auto table = services_.lease<mos_signup_v1>(MOS_SIGNUP_1);
    const std::string_view email = user.emailVerified() ? user.email() : std::string_view();
    const auto signup = json::parseObject(SignupClient(table.get()).enqueue(call.abi(), user.id(), email, username));
    return {json::getString(*signup, "state"), json::findString(*signup, "nextTryAt").has_value()};
  } catch (const Error &error) {
    log_.warning("somebody new was not signed up", {{"userId", user.id()}, {"error", error.what()}});
    return {};
  }
}

} // namespace matrixos::identity
