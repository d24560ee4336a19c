#include "Pages.h"

#include <http/pages/Page.h>

namespace matrixos::identity {

void goTo(Exchange &exchange, const std::string &location, PageFields fields) {
  fields.emplace_back("Location", location);
  fields.emplace_back("Cache-Control", "no-store");
  fields.emplace_back("Referrer-Policy", "no-referrer");
  exchange.respond(303, "", "", fields);
}

void answer(Exchange &exchange, const std::string &json, PageFields fields) {
  fields.emplace_back("Cache-Control", "no-store");
  exchange.respond(200, "application/json; charset=utf-8", json, fields);
}

std::string policyFor(const std::string &forms) {
  return http::pagePolicy() + "; base-uri 'none'; form-action " + forms;
}

void show(Exchange &exchange, std::uint32_t status, std::string_view title, const std::string &main,
          const std::string &policy, PageFields fields) {
  // The referrer stays on this host, as the daemon says by itself: without any, browsers hide where a form comes from.
  fields.emplace_back("Content-Security-Policy", policy);
  fields.emplace_back("Cache-Control", "no-store");
  exchange.respond(status, "text/html; charset=utf-8", http::htmlPage(title, main), fields);
}

std::string message(std::string_view title, std::string_view text, const std::string &more) {
  return "<h1>" + http::escapeHtml(title) + "</h1><p>" + http::escapeHtml(text) + "</p>" + more;
}

std::string link(const std::string &target, std::string_view text) {
  return "<a href=\"" + http::escapeHtml(target) + "\">" + http::escapeHtml(text) + "</a>";
}

bool isDocument(const Exchange &exchange) {
  const std::string_view mode = exchange.header("sec-fetch-mode").value_or("");
  const std::string_view target = exchange.header("sec-fetch-dest").value_or("");
  return (mode.empty() || mode == "navigate") && (target.empty() || target == "document");
}

} // namespace matrixos::identity
