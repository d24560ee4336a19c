/// ErrorPage.h: how failures look.
#pragma once

#include <http/engine/Session.h>

#include <string>
#include <string_view>

namespace matrixos::proxy {

/// A small page for browsers, application/problem+json with "error" for everybody else. `sentence` says what happened
/// and what to do; it is escaped. retryAfterSeconds: 0 for none.
http::LocalResponse errorResponse(bool page, int status, std::string_view sentence, int retryAfterSeconds = 0);

} // namespace matrixos::proxy
