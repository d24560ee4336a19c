/// matrixos/signup.hpp: "matrixos.signup/1" as its users see it. Contract: abi/signup.h.
#pragma once

#include <matrixos/abi/signup.h>
#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// Where people sign up. Copyable view; any thread that may block.
class SignupClient {
public:
  explicit SignupClient(const mos_signup_v1 *table) noexcept : t_(table) {}

  /// The user's sign-up as JSON, a new one or the one there is. Throws Error as the contract says.
  std::string enqueue(const mos_call *call, std::string_view userId, std::string_view email,
                      std::string_view username) const {
    Buffer out;
    check([&](mos_error *e) {
      return t_->enqueue(t_->self, call, toAbi(userId), toAbi(email), toAbi(username), out.out(), e);
    });
    return out.str();
  }

private:
  const mos_signup_v1 *t_;
};

} // namespace v1
} // namespace matrixos
