#pragma once

#include <matrixos/host/http.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::identity {

/// Answers of the pages that people see on the console's host, of which none is kept by anybody.
using PageFields = std::vector<std::pair<std::string, std::string>>;

/// 303 to a path or URL.
void goTo(Exchange &exchange, const std::string &location, PageFields fields = {});
/// 200 with JSON.
void answer(Exchange &exchange, const std::string &json, PageFields fields = {});

/// A Content-Security-Policy. `forms`: where a form of the page may lead, also by redirects.
std::string policyFor(const std::string &forms);
/// `main`: HTML.
void show(Exchange &exchange, std::uint32_t status, std::string_view title, const std::string &main,
          const std::string &policy = policyFor("'self'"), PageFields fields = {});
/// A title and a sentence as HTML; `more` is HTML already.
std::string message(std::string_view title, std::string_view text, const std::string &more = {});
std::string link(const std::string &target, std::string_view text);

/// Whether a browser opens it in a tab of its own, as far as it says; not in a frame, and not for a script.
bool isDocument(const Exchange &exchange);

} // namespace matrixos::identity
