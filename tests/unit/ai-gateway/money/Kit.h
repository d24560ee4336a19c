/// The prices that ship, requests, and answers as the Messages API writes them.
#pragma once

#include "support/TempDir.h"

#include <matrixos/text/time.hpp>

#include <ai-gateway/money/Cost.h>
#include <ai-gateway/money/Holds.h>
#include <ai-gateway/money/MessageRequest.h>
#include <ai-gateway/money/PriceTable.h>
#include <ai-gateway/money/UsageReader.h>
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace matrixos::gateway::test {

inline std::int64_t day(std::string_view date) {
  return parseTime(std::string(date) + "T00:00:00Z").value();
}
inline const std::int64_t kNow = day("2026-11-30");

inline const PriceTable &prices() {
  static const auto table = PriceTable::parse(matrixos::test::readFile(MATRIXOS_PRICES));
  return *table;
}

/// Of dollars with up to twelve places, as the facts write them: "0.054399".
inline Money usd(std::string_view text) {
  const std::size_t point = text.find('.');
  std::string digits(text.substr(0, point));
  std::string fraction(point == std::string_view::npos ? std::string_view{} : text.substr(point + 1));
  fraction.resize(12, '0');
  return Money::ofPico(std::stoll(digits + fraction));
}

/// A request whose prompt is `promptBytes` long; `more`: further members, each with a comma before it.
inline std::string body(std::string_view model, std::string_view more = {}, std::size_t promptBytes = 60'000) {
  return R"({"model":")" + std::string(model) + R"(","max_tokens":8000,"messages":[{"role":"user","content":")" +
         std::string(promptBytes, 'x') + R"("}])" + std::string(more) + "}";
}

inline RequestRules anything() {
  RequestRules rules;
  rules.serverTools = rules.betas = AllowList({"*"});
  return rules;
}

inline MessageRequest parsed(std::string_view text, const RequestRules &rules = anything(),
                             std::string_view betas = "compact-2026-01-12,server-side-fallback-2026-06-01") {
  auto outcome = MessageRequest::parse(text, betas, rules);
  if (const auto *refusal = std::get_if<Refusal>(&outcome)) FAIL(refusal->message);
  return std::get<MessageRequest>(std::move(outcome));
}

/// The message of the refusal; empty: it is none.
inline std::string refused(std::string_view text, const RequestRules &rules = {}, std::string_view betas = {}) {
  const auto outcome = MessageRequest::parse(text, betas, rules);
  const auto *refusal = std::get_if<Refusal>(&outcome);
  if (refusal == nullptr) return {};
  CHECK(refusal->status == 400);
  CHECK(refusal->type == "invalid_request_error");
  return refusal->message;
}

inline std::string event(std::string_view name, std::string_view data) {
  return "event: " + std::string(name) + "\ndata: " + std::string(data) + "\n\n";
}

/// A stream with this usage in its first event and its last.
inline std::string stream(std::string_view model, std::string_view started, std::string_view ended,
                          std::string_view text = "Hello there", std::string_view stopReason = "end_turn") {
  const std::string name(model);
  return event("message_start",
               R"({"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":")" +
                   name + R"(","content":[],"stop_reason":null,"stop_sequence":null,"usage":)" + std::string(started) +
                   "}}") +
         event("content_block_start",
               R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})") +
         event("ping", R"({"type": "ping"})") +
         event("content_block_delta",
               R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":")" + std::string(text) +
                   R"("}})") +
         event("content_block_stop", R"({"type":"content_block_stop","index":0})") +
         event("message_delta", R"({"type":"message_delta","delta":{"stop_reason":")" + std::string(stopReason) +
                                    R"(","stop_sequence":null},"usage":)" + std::string(ended) + "}") +
         event("message_stop", R"({"type":"message_stop"})");
}

/// The same in one piece.
inline std::string answer(std::string_view model, std::string_view usage, std::string_view text = "Hello there",
                          std::string_view stopReason = "end_turn") {
  return R"({"id":"msg_01","type":"message","role":"assistant","model":")" + std::string(model) +
         R"(","content":[{"type":"text","text":")" + std::string(text) + R"("}],"stop_reason":")" +
         std::string(stopReason) + R"(","stop_sequence":null,"usage":)" + std::string(usage) + "}";
}

/// Read in pieces of `step` bytes.
inline Usage read(bool isEventStream, std::string_view bytes, bool complete = true, std::size_t step = 7) {
  UsageReader reader(isEventStream);
  for (std::size_t at = 0; at < bytes.size(); at += step)
    reader.feed(bytes.substr(at, step));
  reader.finish(complete);
  return reader.usage();
}

} // namespace matrixos::gateway::test
