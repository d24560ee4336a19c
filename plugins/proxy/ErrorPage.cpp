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

std::string page(const http::Problem &problem, std::string_view requestId) {
  const int status = problem.status;
  const std::string_view title = headline(status);
  std::string main =
      "<h1>" + http::escapeHtml(title) + "</h1><p>" + http::escapeHtml(asSentence(problem.message)) + "</p>";
  // The same address once more: these may pass.
  if (status >= 502 && status <= 504) main += "<a href=\"\">Try again</a>";
  main.append("<footer>").append(std::to_string(status)).append(" ").append(http::reasonPhrase(status));
  if (!requestId.empty()) main.append("<br>Request ").append(http::escapeHtml(requestId));
  return http::htmlPage(title, main += "</footer>");
}

http::LocalResponse pageResponse(int status, std::string body) {
  return {status, "text/html; charset=utf-8", std::move(body), {{"Content-Security-Policy", http::pagePolicy()}}};
}

} // namespace

http::LocalResponse errorResponse(bool asPage, const http::Problem &problem, std::string_view requestId) {
  http::LocalResponse response = http::problemResponse(problem, requestId);
  if (asPage) {
    const auto fields = std::move(response.fields);
    response = pageResponse(problem.status, page(problem, requestId));
    response.fields.insert(response.fields.end(), fields.begin(), fields.end());
  }
  response.fields.emplace_back("Cache-Control", "no-store");
  if (!requestId.empty()) response.fields.emplace_back("X-Request-Id", requestId);
  return response;
}

http::LocalResponse frontDoor(std::string_view example) {
  http::LocalResponse response = pageResponse(
      200,
      http::htmlPage("Matrix OS", "<h1>Matrix OS</h1><p>The platform runs. Each Matrix OS has an address of its own "
                                  "with its name in front, like " +
                                      http::escapeHtml(example) + ".</p>"));
  response.fields.emplace_back("Cache-Control", "no-store");
  return response;
}

} // namespace matrixos::proxy
