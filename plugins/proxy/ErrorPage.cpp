#include "ErrorPage.h"

#include <http/pages/Page.h>

#include <map>
#include <string>

namespace matrixos::proxy {

namespace {

std::string_view headline(int status) {
  static const std::map<int, std::string_view> kHeadlines{{404, "There is nobody here"},
                                                          {421, "This address is not served here"},
                                                          {502, "This Matrix OS did not answer"},
                                                          {503, "This Matrix OS is not available right now"},
                                                          {504, "This Matrix OS is taking too long to respond"}};
  const auto found = kHeadlines.find(status);
  return found == kHeadlines.end() ? http::reasonPhrase(status) : found->second;
}

/// "there is no such handle" → "There is no such handle."
std::string asSentence(std::string_view text) {
  std::string out(text);
  if (!out.empty() && out.front() >= 'a' && out.front() <= 'z')
    out.front() = static_cast<char>(out.front() - 'a' + 'A');
  return out + ".";
}

std::string page(int status, std::string_view sentence) {
  const std::string_view title = headline(status);
  std::string main = "<h1>" + http::escapeHtml(title) + "</h1><p>" + http::escapeHtml(asSentence(sentence)) + "</p>";
  // The same address once more: these may pass.
  if (status >= 502 && status <= 504) main += "<a href=\"\">Try again</a>";
  main.append("<footer>")
      .append(std::to_string(status))
      .append(" ")
      .append(http::reasonPhrase(status))
      .append("</footer>");
  return http::htmlPage(title, main);
}

} // namespace

http::LocalResponse errorResponse(bool asPage, int status, std::string_view sentence, int retryAfterSeconds) {
  http::LocalResponse response;
  if (asPage) {
    response.status = status;
    response.contentType = "text/html; charset=utf-8";
    response.body = page(status, sentence);
    response.fields.emplace_back("Content-Security-Policy", http::pagePolicy());
  } else {
    response = http::problemResponse(status, sentence);
  }
  response.fields.emplace_back("Cache-Control", "no-store");
  if (retryAfterSeconds > 0) response.fields.emplace_back("Retry-After", std::to_string(retryAfterSeconds));
  return response;
}

} // namespace matrixos::proxy
