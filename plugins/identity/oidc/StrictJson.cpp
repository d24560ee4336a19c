#include "StrictJson.h"

#include <matrixos/status.hpp>

#include <set>
#include <string>
#include <vector>

namespace matrixos::identity {

namespace {

constexpr int kMaxDepth = 16;

Error malformed(const char *why) {
  return Error(Status::InvalidArgument, std::string("malformed JSON: ") + why, "BAD_JSON");
}

} // namespace

Json parseStrictObject(std::string_view text) {
  // The parser takes a NUL for the end of the text, whatever follows.
  if (text.find('\0') != std::string_view::npos) throw malformed("it holds a NUL");
  std::vector<std::set<std::string>> names;
  const auto watch = [&names](int depth, Json::parse_event_t event, Json &value) {
    if (depth > kMaxDepth) throw malformed("it is nested too deeply");
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    // Readers differ in which of two members they believe.
    if (event == Json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second)
      throw malformed("a member stands twice");
    return true;
  };
  try {
    Json value = Json::parse(text, watch);
    if (value.is_object()) return value;
  } catch (const Json::exception &) {
    throw malformed("it cannot be read");
  }
  throw malformed("it is no object");
}

const std::string *textIn(const Json &object, const char *name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : found->get_ptr<const std::string *>();
}

} // namespace matrixos::identity
