#include "Problem.h"

#include "Head.h"

#include <matrixos/text/json_quote.hpp>

namespace matrixos::http {

std::string problemJson(const Problem &problem, std::string_view requestId) {
  const std::string sentence = jsonString(problem.message);
  std::string body = R"({"type":"about:blank","title":)" + jsonString(reasonPhrase(problem.status)) +
                     ",\"status\":" + std::to_string(problem.status) + ",\"detail\":" + sentence +
                     ",\"error\":" + sentence;
  if (!problem.reason.empty()) body += ",\"reason\":" + jsonString(problem.reason);
  if (!requestId.empty()) body += ",\"requestId\":" + jsonString(requestId);
  return body += "}\n";
}

std::vector<std::pair<std::string, std::string>> problemFields(const Problem &problem) {
  auto fields = problem.fields;
  if (problem.retryAfterMs > 0) {
    fields.emplace_back("Retry-After", std::to_string((problem.retryAfterMs + 999) / 1000));
  }
  return fields;
}

} // namespace matrixos::http
