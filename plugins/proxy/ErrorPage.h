/// ErrorPage.h: how failures look.
#pragma once

#include <http/engine/Session.h>

#include <string>
#include <string_view>

namespace matrixos::proxy {

/// A small page for browsers, application/problem+json with "error" for everybody else. The problem's message says what
/// happened and what to do; it is escaped. Both carry the request's id, in the text as in X-Request-Id.
http::LocalResponse errorResponse(bool page, const http::Problem &problem, std::string_view requestId);

/// For people who open one of the platform's own hosts: there is nothing to see, but below names like `example`.
http::LocalResponse frontDoor(std::string_view example);

} // namespace matrixos::proxy
