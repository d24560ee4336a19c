#pragma once

#include "support/HttpClient.h"

#include <filesystem>
#include <string>
#include <vector>

namespace matrixos::test {

/// One request and what has to come back. What is left empty is not looked at, but a status of 400 and more is always
/// checked to be a whole problem (RFC 9457).
struct Row {
  std::string name;
  std::string method = "GET";
  std::string target;
  Headers headers = {};
  std::string body = {};

  int status = 200;
  std::string error = {};             ///< exactly the problem's sentence
  std::vector<std::string> keys = {}; ///< members that the object, or each object of the array, has
  Headers fields = {};                ///< names in lower case, and exactly their values
  std::string answer = {};            ///< exactly the body
};

/// Compares; one CHECK a fact, named after the row.
void check(const Row &row, const Response &response);

/// Sends each row on a connection of its own, in order. `where` is a TCP port or a unix socket.
void checkAll(const std::vector<Row> &rows, const std::filesystem::path &where);
void checkAll(const std::vector<Row> &rows, std::uint16_t where);

} // namespace matrixos::test
