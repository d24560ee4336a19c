#pragma once

#include "Access.h"

#include <matrixos/host.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace matrixos::identity {

/// People who have no instance of their own yet, and what becomes of that: [identity] allow_sign_up signs them up at
/// "matrixos.signup/1". Blocks as that does; any thread.
class Newcomers {
public:
  /// `isOpen`: whether people who are new are signed up here.
  Newcomers(const mos_host_v1 *host, const Access &access, std::function<bool()> isOpen)
      : services_(host), log_(host), access_(access), isOpen_(std::move(isOpen)) {}

  /// How a sign-up stands.
  struct SignUp {
    std::string state; ///< "waiting", "done"; empty when there is none
    bool isTriedAgain = false;
  };
  /// Signs the user up, unless there is an instance of his own, or he has; a failure is told to operators, and made up
  /// for by the next call.
  SignUp welcome(const User &user, std::string_view username = {}) const;

private:
  const Services services_;
  const Log log_;
  const Access &access_;
  const std::function<bool()> isOpen_;
};

} // namespace matrixos::identity
