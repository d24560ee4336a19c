/// http/engine/Resolver.h: finds the addresses of a name.
#pragma once

#include <matrixos/address.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace matrixos::http {

/// What came of one question.
struct Resolution {
  std::vector<Address> addresses{}; ///< best first, ports 0; none: it failed
  std::chrono::seconds lifetime{};  ///< how long they may be used, as the name's owner says
  const char *failure = "";         ///< why there are none; static text
  bool definite = false;            ///< the failure is an answer: there is no such name, or nothing behind it
};

/// Asks for the addresses of a name, once; a HostName keeps what was found. Tests bring one of their own.
class Resolver {
public:
  using Done = std::function<void(Resolution)>;
  virtual ~Resolver() = default;

  /// [any-thread] Returns at once. `done` is called exactly once, from whichever thread, perhaps before this returns.
  virtual void resolve(const std::string &name, Done done) = 0;
};

} // namespace matrixos::http
