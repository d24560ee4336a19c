/// matrixos/wake_answer.hpp: what Lifecycle::ensureRunning() answers (abi/lifecycle.h), written and read.
#pragma once

#include <matrixos/json_member.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/status.hpp>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace matrixos {
inline namespace v1 {

/// What a wake took, in milliseconds.
struct WakePhases {
  std::int64_t queueMs = 0;  ///< until the engine was at work, where the orchestrator tells; else 0
  std::int64_t engineMs = 0; ///< until the orchestrator said it runs
  std::int64_t readyMs = 0;  ///< until the endpoint answered HTTP
};

/// {"instance": {…}, "phases": {"queueMs", "engineMs", "readyMs"}}. The record is not read on the way: whoever has its
/// revision already, from the orchestrator's watch, need not read it at all.
struct WakeAnswer {
  std::string_view instance; ///< the record's JSON, a part of the text that was read
  std::uint64_t rev = 0;     ///< of the record
  WakePhases phases;

  /// Phases that are not said are 0, and of fractions whole milliseconds are kept. Throws Error(InvalidArgument,
  /// BAD_FIELD) when there is no instance with a revision.
  static WakeAnswer read(std::string_view json);
  std::string toJson() const;
};

namespace detail {

/// The whole part of a member that is a number; nothing when it is none.
template <typename Number>
std::optional<Number> memberNumber(std::string_view object, std::string_view key) noexcept {
  const std::string_view text = findMember(object, key).value_or(std::string_view{});
  Number number = 0;
  if (text.empty() || std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc{}) return {};
  return number;
}

} // namespace detail

inline WakeAnswer WakeAnswer::read(std::string_view json) {
  WakeAnswer answer;
  answer.instance = findMember(json, "instance").value_or(std::string_view{});
  const auto rev = detail::memberNumber<std::uint64_t>(answer.instance, "rev");
  if (!rev) throw Error(Status::InvalidArgument, "\"instance\" has to be a record with a \"rev\"", "BAD_FIELD");
  answer.rev = *rev;
  const std::string_view phases = findMember(json, "phases").value_or(std::string_view{});
  const auto took = [&](const char *key) { return detail::memberNumber<std::int64_t>(phases, key).value_or(0); };
  answer.phases = {took("queueMs"), took("engineMs"), took("readyMs")};
  return answer;
}

inline std::string WakeAnswer::toJson() const {
  JsonObject times;
  times.add("queueMs", phases.queueMs).add("engineMs", phases.engineMs).add("readyMs", phases.readyMs);
  JsonObject out(instance.size() + 96);
  out.addRaw("instance", instance).addRaw("phases", std::move(times).str());
  return std::move(out).str();
}

} // namespace v1
} // namespace matrixos
