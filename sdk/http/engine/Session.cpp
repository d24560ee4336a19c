#include "Session.h"

namespace matrixos::http {

std::string jsonString(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out.append(1, '\\').append(1, c);
    else if (byte < 0x20)
      out.append("\\u00").append(1, kHex[byte >> 4U]).append(1, kHex[byte & 15U]);
    else
      out += c;
  }
  return out += '"';
}

LocalResponse problem(int status, std::string_view sentence) {
  const std::string text = jsonString(sentence);
  LocalResponse response;
  response.status = status;
  response.contentType = "application/problem+json";
  response.body = "{\"type\":\"about:blank\",\"title\":" + jsonString(reasonPhrase(status)) +
                  ",\"status\":" + std::to_string(status) + ",\"detail\":" + text + ",\"error\":" + text + "}";
  return response;
}

void Session::writeRequest(Exchange &exchange, HeadWriter &writer) {
  const RequestHead &head = exchange.request();
  writer.requestLine(head.method, head.target);
  writer.fields(head.fields);
}

void Session::writeResponse(Exchange &, ResponseHead &head, HeadWriter &writer) {
  writer.fields(head.fields);
}

void Session::onForwardFailed(Exchange &exchange, ForwardFailure failure) {
  const bool late = failure == ForwardFailure::Timeout || failure == ForwardFailure::ConnectTimeout;
  exchange.respond(late ? problem(504, "the upstream did not answer in time")
                        : problem(502, "the upstream did not answer"));
}

void Session::onHoldTimeout(Exchange &exchange) {
  exchange.respond(problem(504, "the request waited too long"));
}

void Session::onDrain(Exchange &exchange) {
  LocalResponse response = problem(503, "the server is stopping");
  response.fields.emplace_back("Retry-After", "1");
  exchange.respond(std::move(response));
}

LocalResponse Session::refusal(int status, const char *reason) {
  return problem(status, reason);
}

} // namespace matrixos::http
