#include "Head.h"

#include "Grammar.h"

#include <array>

namespace matrixos::http {

std::string sentenceOf(const ParseError &error, const HeadLimits &limits, const LimitNames &names) {
  const auto say = [&](const char *name, std::size_t most, const char *unit) {
    const std::string subject = name == nullptr ? "at most " : std::string(name) + " allows ";
    return std::string(error.reason) + "; " + subject + std::to_string(most) + unit +
           (name == nullptr ? " are allowed" : "");
  };
  switch (error.limit) {
  case Limit::None:
    break;
  case Limit::HeadBytes:
    return say(names.bytes, limits.bytes, " bytes");
  case Limit::Fields:
    return say(names.fields, limits.fields, "");
  case Limit::Target:
    return say(names.target, limits.target, " bytes");
  }
  return error.reason;
}

void RequestHead::clear() noexcept {
  method = target = host = {};
  minorVersion = 1;
  keepAlive = true;
  expectContinue = upgradeWebSocket = acceptsTrailers = false;
  body = {};
  fields.clear();
}

void ResponseHead::clear() noexcept {
  status = 0;
  minorVersion = 1;
  keepAlive = true;
  upgradeWebSocket = false;
  body = announced = {};
  fields.clear();
}

bool isSafe(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

bool isIdempotent(std::string_view method) noexcept {
  return isSafe(method) || method == "PUT" || method == "DELETE";
}

namespace {

struct Phrase {
  std::size_t status;
  std::string_view words;
};

constexpr Phrase kPhrases[] = {{100, "Continue"},
                               {101, "Switching Protocols"},
                               {102, "Processing"},
                               {103, "Early Hints"},
                               {200, "OK"},
                               {201, "Created"},
                               {202, "Accepted"},
                               {203, "Non-Authoritative Information"},
                               {204, "No Content"},
                               {205, "Reset Content"},
                               {206, "Partial Content"},
                               {207, "Multi-Status"},
                               {300, "Multiple Choices"},
                               {301, "Moved Permanently"},
                               {302, "Found"},
                               {303, "See Other"},
                               {304, "Not Modified"},
                               {307, "Temporary Redirect"},
                               {308, "Permanent Redirect"},
                               {400, "Bad Request"},
                               {401, "Unauthorized"},
                               {402, "Payment Required"},
                               {403, "Forbidden"},
                               {404, "Not Found"},
                               {405, "Method Not Allowed"},
                               {406, "Not Acceptable"},
                               {407, "Proxy Authentication Required"},
                               {408, "Request Timeout"},
                               {409, "Conflict"},
                               {410, "Gone"},
                               {411, "Length Required"},
                               {412, "Precondition Failed"},
                               {413, "Content Too Large"},
                               {414, "URI Too Long"},
                               {415, "Unsupported Media Type"},
                               {416, "Range Not Satisfiable"},
                               {417, "Expectation Failed"},
                               {421, "Misdirected Request"},
                               {422, "Unprocessable Content"},
                               {423, "Locked"},
                               {425, "Too Early"},
                               {426, "Upgrade Required"},
                               {428, "Precondition Required"},
                               {429, "Too Many Requests"},
                               {431, "Request Header Fields Too Large"},
                               {451, "Unavailable For Legal Reasons"},
                               {500, "Internal Server Error"},
                               {501, "Not Implemented"},
                               {502, "Bad Gateway"},
                               {503, "Service Unavailable"},
                               {504, "Gateway Timeout"},
                               {505, "HTTP Version Not Supported"},
                               {507, "Insufficient Storage"},
                               {511, "Network Authentication Required"}};

} // namespace

std::string_view reasonPhrase(int status) noexcept {
  // One step for each answer that is written, instead of a search.
  static constexpr auto kByStatus = [] {
    std::array<std::string_view, 512> out{};
    for (const Phrase &phrase : kPhrases)
      out[phrase.status] = phrase.words;
    return out;
  }();
  const auto at = static_cast<std::size_t>(status);
  return at < kByStatus.size() && !kByStatus[at].empty() ? kByStatus[at] : "Status";
}

} // namespace matrixos::http
