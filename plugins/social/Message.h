#pragma once

#include <string>
#include <string_view>

namespace matrixos::social {

struct Message {
  std::string from; ///< a handle
  std::string json; ///< what is sent
};

/// Reads `{"text", "from": {"handle", "displayName"?}}` and writes it anew with these members alone, so that nothing
/// else of a sender's making reaches another instance. Throws matrixos::Error(InvalidArgument) that names the member.
Message canonicalMessage(std::string_view body);

} // namespace matrixos::social
