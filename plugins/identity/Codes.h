#pragma once

#include "OneTime.h"

#include <string>

namespace matrixos::identity {

/// How a sign-in on the console's host becomes a cookie of an instance's host: a code for that host alone, for the
/// browser that has the nonce, once, within a minute.
struct Code {
  Digest session;
  std::string handle;
  std::string nonce;      ///< its digest's text()
  std::string returnPath; ///< on the instance's host
};

class Codes : public OneTime<Code> {
public:
  Codes() : OneTime(60'000, 10'000) {}
};

} // namespace matrixos::identity
