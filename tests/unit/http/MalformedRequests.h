#pragma once

#include <string>
#include <vector>

namespace httptest {

/// A message that must be refused with `status`, and after which nothing on the connection may be executed.
struct Malformed {
  std::string name;
  std::string bytes;
  int status;
};

/// Built from rules and by hand; each differs from a good request in one thing.
std::vector<Malformed> malformedRequests();

} // namespace httptest
