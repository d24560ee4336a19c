/// ErrorPage.h: how failures look.
#pragma once

#include <http/engine/Session.h>

#include <string>
#include <string_view>

namespace matrixos::proxy {

/// True for a client that wants to show pages to a person: it accepts text/html by name.
bool wantsPage(const http::RequestHead &head) noexcept;

/// A small page for browsers, application/problem+json with "error" for everybody else. `sentence` says what happened
/// and what to do; it is escaped. retryAfterSeconds: 0 for none.
http::LocalResponse errorResponse(bool page, int status, std::string_view sentence, int retryAfterSeconds = 0);

/// A whole page as all of ours look: `head` and `main` are HTML, the title text that needs no escaping.
std::string htmlPage(std::string_view title, std::string_view head, std::string_view main);

} // namespace matrixos::proxy
