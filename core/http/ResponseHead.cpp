#include "http/ResponseHead.h"

#include <matrixos/status.hpp>

#include <array>
#include <ctime>

namespace matrixos::api {

namespace {

/// IMF-fixdate (RFC 9110 §5.6.7), without the locale that strftime would bring in.
std::string httpDate(std::time_t now) {
  static constexpr std::array<const char *, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char *, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  return text.data();
}

void add(std::string &text, std::string_view name, std::string_view value) {
  text.append(name).append(": ").append(value).append("\r\n");
}

} // namespace

bool bodyless(int status) noexcept {
  return status == 204 || status == 304;
}

std::string serialize(const ResponseHead &head) {
  std::string text = "HTTP/1.1 " + std::to_string(head.status) + " " + std::string(reasonPhrase(head.status)) + "\r\n";
  add(text, "Date", httpDate(std::time(nullptr)));
  if (!head.contentType.empty()) add(text, "Content-Type", head.contentType);
  bool cacheControl = false;
  for (const Field &field : head.fields) {
    cacheControl = cacheControl || equalsIgnoreCase(field.name, "Cache-Control");
    add(text, field.name, field.value);
  }
  if (!cacheControl) add(text, "Cache-Control", "no-store");
  add(text, "X-Content-Type-Options", "nosniff");
  add(text, "X-Request-Id", head.requestId);
  bool keepAlive = head.keepAlive;
  if (bodyless(head.status)) {
    // Neither a length nor a coding may be sent with these.
  } else if (head.contentLength) {
    add(text, "Content-Length", std::to_string(*head.contentLength));
  } else if (head.minorVersion >= 1) {
    add(text, "Transfer-Encoding", "chunked");
  } else {
    keepAlive = false;
  }
  if (!keepAlive)
    add(text, "Connection", "close");
  else if (head.minorVersion == 0)
    add(text, "Connection", "keep-alive");
  text += "\r\n";
  return text;
}

void checkResponse(int status, std::string_view contentType, const std::vector<Field> &fields) {
  if (status < 200 || status > 599) {
    throw Error(Status::InvalidArgument, "an answer's status has to be 200 to 599, not " + std::to_string(status));
  }
  if (!isFieldValue(contentType)) throw Error(Status::InvalidArgument, "the content type holds a control byte");
  static constexpr std::array<std::string_view, 10> kOurs{
      "Content-Length", "Transfer-Encoding", "Connection",  "Keep-Alive", "Trailer", "Upgrade", "TE",
      "Date",           "Content-Type",      "X-Request-Id"};
  for (const Field &field : fields) {
    if (!isToken(field.name)) throw Error(Status::InvalidArgument, "a response field has no well-formed name");
    if (!isFieldValue(field.value)) {
      throw Error(Status::InvalidArgument, "the response field " + field.name + " holds a control byte");
    }
    for (const std::string_view name : kOurs) {
      if (equalsIgnoreCase(field.name, name)) {
        throw Error(Status::InvalidArgument, "the response field " + field.name + " is set by the server");
      }
    }
  }
}

std::vector<Field> problemFields(const Problem &problem) {
  std::vector<Field> fields = problem.fields;
  if (problem.retryAfterMs > 0) {
    fields.push_back({"Retry-After", std::to_string((problem.retryAfterMs + 999) / 1000)});
  }
  return fields;
}

std::string problemResponse(const Problem &problem, const std::string &requestId, int minorVersion, bool keepAlive) {
  const std::string body = problemBody(problem, requestId);
  ResponseHead head;
  head.status = problem.status;
  head.contentType = kProblemType;
  head.fields = problemFields(problem);
  head.contentLength = body.size();
  head.requestId = requestId;
  head.minorVersion = minorVersion;
  head.keepAlive = keepAlive;
  return serialize(head) + body;
}

} // namespace matrixos::api
