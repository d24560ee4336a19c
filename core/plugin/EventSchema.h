#pragma once

#include <memory>
#include <string_view>
#include <utility>

namespace matrixos::plugin {

/// A JSON schema (draft 7) of what is published on a topic. It knows the keywords that describe plain data: type,
/// properties, required, additionalProperties, items, enum and const of texts, numbers and truths, minimum, maximum,
/// minLength, maxLength, minItems, maxItems, and those that only explain. None of them takes longer than the event is
/// long, and one that is not checked is refused, so that nobody relies on it. Immutable.
class EventSchema {
public:
  /// Throws Error(InvalidArgument) that names the JSON pointer (RFC 6901) of what it does not know or cannot read.
  static EventSchema parse(std::string_view text);

  /// Throws Error(InvalidArgument, "EVENT_SCHEMA") that names the JSON pointer of the first thing that does not fit,
  /// and Error(InvalidArgument, "BAD_JSON") for what is no JSON.
  void check(std::string_view json) const;

private:
  struct Node;

  explicit EventSchema(std::shared_ptr<const Node> root) : root_(std::move(root)) {}

  std::shared_ptr<const Node> root_;
};

} // namespace matrixos::plugin
