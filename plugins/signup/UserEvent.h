/// Clerk's events about users (https://clerk.com/docs/webhooks/overview).
#pragma once

#include "Candidates.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace matrixos::signup {

/// What a delivery says.
struct UserEvent {
  enum class Kind { Other, Upsert, Deleted };

  Kind kind = Kind::Other;
  std::string type;           ///< as it came, "user.created"
  Person person;              ///< of Upsert; of Deleted the id alone
  std::int64_t updatedAt = 0; ///< by the sender's clock, ms since 1970; 0: not said
};

/// Reads a delivery. Members that are not known are ignored, as are members of other types that only tell more of a
/// person. Throws Error(InvalidArgument) for what is no JSON object, and for an event about a user without a fit id.
UserEvent readUserEvent(std::string_view body);

/// Throws Error(InvalidArgument) unless the orchestrator takes it as an owner's id: 1 to 128 printable ASCII
/// characters.
void checkUserId(std::string_view userId);

} // namespace matrixos::signup
