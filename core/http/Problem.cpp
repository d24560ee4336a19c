#include "http/Problem.h"

#include "http/PathCodec.h"

#include <array>
#include <cstdio>

namespace matrixos::api {

std::string_view reasonPhrase(int status) noexcept {
  switch (status) {
  case 200:
    return "OK";
  case 201:
    return "Created";
  case 202:
    return "Accepted";
  case 204:
    return "No Content";
  case 206:
    return "Partial Content";
  case 301:
    return "Moved Permanently";
  case 302:
    return "Found";
  case 303:
    return "See Other";
  case 304:
    return "Not Modified";
  case 307:
    return "Temporary Redirect";
  case 308:
    return "Permanent Redirect";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 402:
    return "Payment Required";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 406:
    return "Not Acceptable";
  case 408:
    return "Request Timeout";
  case 409:
    return "Conflict";
  case 410:
    return "Gone";
  case 412:
    return "Precondition Failed";
  case 413:
    return "Content Too Large";
  case 414:
    return "URI Too Long";
  case 415:
    return "Unsupported Media Type";
  case 417:
    return "Expectation Failed";
  case 421:
    return "Misdirected Request";
  case 422:
    return "Unprocessable Content";
  case 425:
    return "Too Early";
  case 428:
    return "Precondition Required";
  case 429:
    return "Too Many Requests";
  case 431:
    return "Request Header Fields Too Large";
  case 500:
    return "Internal Server Error";
  case 501:
    return "Not Implemented";
  case 502:
    return "Bad Gateway";
  case 503:
    return "Service Unavailable";
  case 504:
    return "Gateway Timeout";
  case 505:
    return "HTTP Version Not Supported";
  case 507:
    return "Insufficient Storage";
  default:
    return status < 400 ? "OK" : "Error";
  }
}

std::string jsonString(std::string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '"' || byte == '\\') {
      out.push_back('\\');
      out.push_back(text[i++]);
    } else if (byte < 0x20 || byte == 0x7F) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(byte));
      out += escape.data();
      ++i;
    } else if (const std::size_t length = utf8Length(text.substr(i)); length != 0) {
      out.append(text.substr(i, length));
      i += length;
    } else {
      out += "\xEF\xBF\xBD";
      ++i;
    }
  }
  out.push_back('"');
  return out;
}

Problem toProblem(const Error &error) {
  Problem problem;
  problem.status = error.status() == Status::Ok ? 500 : httpStatus(error.status());
  problem.message = error.what();
  problem.reason = error.reason();
  problem.retryAfterMs = error.retryAfterMs();
  return problem;
}

std::string problemBody(const Problem &problem, std::string_view requestId) {
  const std::string sentence = jsonString(problem.message);
  std::string body = R"({"type":"about:blank","title":)" + jsonString(reasonPhrase(problem.status)) +
                     ",\"status\":" + std::to_string(problem.status) + ",\"detail\":" + sentence +
                     ",\"error\":" + sentence;
  if (!problem.reason.empty()) body += ",\"reason\":" + jsonString(problem.reason);
  body += ",\"requestId\":" + jsonString(requestId) + "}\n";
  return body;
}

} // namespace matrixos::api
