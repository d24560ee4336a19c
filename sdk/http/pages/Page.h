/// http/pages/Page.h: the pages that the platform itself shows to people: errors, waiting, signing in.
#pragma once

#include <http/codec/Head.h>

#include <string>
#include <string_view>

namespace matrixos::http {

/// The Content-Security-Policy that fits every page: no script, no frame, nothing from elsewhere. `ancestors` says who
/// may frame it: 'none' or 'self', with the quotes.
std::string pagePolicy(std::string_view ancestors = "'none'");

/// A whole page. `title` is text; `head` and `main` are HTML, and go into the elements of that name.
std::string htmlPage(std::string_view title, std::string_view main, std::string_view head = {});

/// Text for an element's content or a quoted attribute.
std::string escapeHtml(std::string_view text);

/// True for a client that wants to show pages to a person: it accepts text/html by name.
bool wantsPage(const RequestHead &head) noexcept;

/// True for a browser that goes to a page: `Sec-Fetch-Mode: navigate`, or a GET that accepts text/html from one that
/// does not say its mode. Scripts that fetch, and forms that send, are none.
bool isNavigation(const RequestHead &head) noexcept;

} // namespace matrixos::http
