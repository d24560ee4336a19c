#include "Session.h"

namespace matrixos::http {

LocalResponse problemResponse(const Problem &problem, std::string_view requestId) {
  return {problem.status, kProblemType, problemJson(problem, requestId), problemFields(problem)};
}

LocalResponse problemResponse(int status, std::string_view sentence) {
  return problemResponse(Problem{status, std::string(sentence), {}, 0});
}

void Session::writeRequest(ClientExchange &exchange, HeadWriter &writer) {
  const RequestHead &head = exchange.request();
  writer.requestLine(head.method, head.target);
  writer.fields(head.fields);
}

void Session::onForwardFailed(ClientExchange &exchange, ForwardFailure failure) {
  const bool late = failure == ForwardFailure::Timeout || failure == ForwardFailure::ConnectTimeout;
  exchange.respond(late ? problemResponse(504, "the upstream did not answer in time")
                        : problemResponse(502, "the upstream did not answer"));
}

void Session::onHoldTimeout(ClientExchange &exchange) {
  exchange.respond(problemResponse(504, "the request waited too long"));
}

void Session::onDrain(ClientExchange &exchange) {
  exchange.respond(problemResponse(Problem{503, "the server is stopping", "STOPPING", 1000}));
}

LocalResponse Session::refusal(const ParseError &error) {
  return problemResponse(error.status, error.reason);
}

} // namespace matrixos::http
