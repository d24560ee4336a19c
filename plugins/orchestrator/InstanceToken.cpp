#include "InstanceToken.h"

#include <matrixos/status.hpp>
#include <matrixos/text/base64.hpp>

#include <Poco/SHA2Engine.h>
#include <http/codec/Bearer.h>
#include <sys/random.h>

#include <array>

namespace matrixos::orchestrator {

InstanceToken InstanceToken::make() {
  std::array<char, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    throw Error(Status::Unavailable, "the system has no randomness for an instance's token", "NO_RANDOMNESS");
  InstanceToken token;
  token.text = base64Encode({bytes.data(), bytes.size()}, Base64::Url);
  token.text.pop_back(); // 32 bytes are padded with one "="
  token.text.insert(0, http::kInstanceTokenPrefix);
  token.hash = hashOf(token.text);
  return token;
}

std::string InstanceToken::hashOf(std::string_view text) {
  Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
  engine.update(text.data(), text.size());
  return Poco::DigestEngine::digestToHex(engine.digest());
}

} // namespace matrixos::orchestrator
