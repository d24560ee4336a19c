/// Messages that have to be refused, one row each; shared by the tests of the codec and of a whole listener.
#pragma once

#include <string>
#include <vector>

namespace edgetest {

/// The Host of all rows that have a good one.
inline constexpr const char *kHost = "alice.localhost";

struct MalformedRequest {
  std::string what;
  int status; ///< of the refusal
  std::string text;
};

/// Heads of requests, wrong in one thing each; a body that would follow is in some of them.
std::vector<MalformedRequest> malformedRequests();

/// Chunked bodies, each wrong or ambiguous.
std::vector<std::string> malformedChunks();

/// Heads of responses.
std::vector<std::string> malformedResponses();

struct LongAnswer {
  std::string what;
  std::string method; ///< of the request
  int status;         ///< of the one answer that the client gets
  std::string text;
};

/// Answers with something behind them that nobody asked for.
std::vector<LongAnswer> answersWithMore();

} // namespace edgetest
