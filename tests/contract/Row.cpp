#include "contract/Row.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>

namespace matrixos::test {

namespace {

std::string fieldOf(const Response &response, const std::string &name) {
  const auto at = response.headers.find(name);
  return at == response.headers.end() ? "" : at->second;
}

/// The members of RFC 9457 §3.1, "error" beside them, and the request's id where the answer is the API's.
void checkProblem(const Row &row, const Response &response) {
  CHECK(fieldOf(response, "content-type") == "application/problem+json");
  try {
    const json::Object::Ptr problem = json::parseObject(response.body);
    const std::string sentence = json::getString(*problem, "error");
    CHECK(json::getString(*problem, "type") == "about:blank");
    CHECK_FALSE(json::getString(*problem, "title").empty());
    CHECK(json::getInt(*problem, "status", 0) == row.status);
    CHECK(json::getString(*problem, "detail") == sentence);
    CHECK_FALSE(sentence.empty());
    if (!row.error.empty()) CHECK(sentence == row.error);
    if (const auto id = json::findString(*problem, "requestId")) CHECK(fieldOf(response, "x-request-id") == *id);
  } catch (const Error &e) {
    FAIL_CHECK("no problem: " << e.what());
  }
}

void checkKeys(const Row &row, const json::Object &object) {
  for (const std::string &key : row.keys) {
    CAPTURE(key);
    CHECK(object.has(key));
  }
}

void checkJson(const Row &row, const Response &response) {
  try {
    const json::Value value = json::parse(response.body);
    if (value.type() == typeid(json::Object::Ptr)) return checkKeys(row, *value.extract<json::Object::Ptr>());
    const auto list = value.extract<json::Array::Ptr>();
    CHECK(list->size() > 0);
    for (unsigned i = 0; i < list->size(); ++i)
      checkKeys(row, *list->getObject(i));
  } catch (const std::exception &e) {
    FAIL_CHECK("neither an object nor an array of objects: " << e.what());
  }
}

template <typename Where>
void sendAll(const std::vector<Row> &rows, const Where &where) {
  for (const Row &row : rows)
    check(row, request(where, row.method, row.target, row.headers, row.body));
}

} // namespace

void check(const Row &row, const Response &response) {
  CAPTURE(row.name);
  CAPTURE(row.method);
  CAPTURE(row.target);
  CAPTURE(response.body);
  CHECK(response.status == row.status);
  if (response.status != row.status) return;
  for (const auto &field : row.fields) {
    CAPTURE(field.first);
    CHECK(fieldOf(response, field.first) == field.second);
  }
  const bool page = fieldOf(response, "content-type").rfind("text/html", 0) == 0;
  if (row.status >= 400 && !page && row.method != "HEAD" && row.answer.empty()) checkProblem(row, response);
  if (!row.keys.empty()) checkJson(row, response);
  if (!row.answer.empty()) CHECK(response.body == row.answer);
}

void checkAll(const std::vector<Row> &rows, const std::filesystem::path &where) {
  sendAll(rows, where);
}

void checkAll(const std::vector<Row> &rows, std::uint16_t where) {
  sendAll(rows, where);
}

} // namespace matrixos::test
