#pragma once

#include <string>
#include <string_view>

namespace matrixos::social {

struct Message {
  std::string from; ///< a handle
  std::string json; ///< what is sent
};

/// Reads `{"text", "from": {"handle", "displayName"?}}` and writes it anew with these members alone, so that nothing
/// else of a sender's making reaches another instance. `sender`: the handle it comes from whatever it says, and then
/// "from" may be left out; "": it says so itself. Throws matrixos::Error(InvalidArgument) that names the member.
Message canonicalMessage(std::string_view body, std::string_view sender = {});

} // namespace matrixos::social
