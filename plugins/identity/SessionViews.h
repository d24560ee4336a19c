#pragma once

#include "Access.h"
#include "Sessions.h"

#include <string>
#include <string_view>

namespace matrixos::identity {

/// {"id", "createdAt", "expiresAt", "usedAt", "kind": "browser" | "program"}, and with `user` "userId" and "email".
std::string toJson(const SessionView &session, bool user);
/// All that are good of one user's.
std::string sessionsJson(const Sessions &sessions, std::string_view userId);
/// Who is signed in, with what is his: {"user", "roles", "instances", "session"}.
std::string meJson(const SessionView &session, const Access &access);

/// Ends one by its public id; of that user's alone, unless `userId` is empty. Throws Error(NotFound).
void endSession(Sessions &sessions, std::string_view id, std::string_view userId);

} // namespace matrixos::identity
