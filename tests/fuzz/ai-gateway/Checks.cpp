#include "fuzz/ai-gateway/Checks.h"

#include <matrixos/status.hpp>

#include <ai-gateway/money/Cost.h>
#include <ai-gateway/money/Holds.h>
#include <ai-gateway/money/MessageRequest.h>
#include <ai-gateway/money/PriceTable.h>
#include <ai-gateway/money/UsageReader.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>

namespace matrixos::gateway::fuzz {

namespace {

using Json = nlohmann::json;

constexpr std::int64_t kNow = 1'796'000'000'000;
constexpr const char *kPrices =
    R"({"unit":"USD per million tokens","models":[{"model":"m","input":2,"write_5m":2.5,"write_1h":4,"read":0.2,"output":10}],)"
    R"("geo":{"us":1.1},"batch":0.5,"web_search":0.01})";
constexpr const char *kRequest = R"({"model":"m","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]})";

void hold(bool truth, const char *what) {
  if (!truth) throw std::logic_error(what);
}

Usage readIn(std::string_view bytes, bool isEventStream, std::size_t step) {
  UsageReader reader(isEventStream);
  for (std::size_t at = 0; at < bytes.size(); at += step)
    reader.feed(bytes.substr(at, step));
  reader.finish(true);
  return reader.usage();
}

void costs(const Usage &usage) {
  static const auto table = PriceTable::parse(kPrices);
  static const auto request = std::get<MessageRequest>(MessageRequest::parse(kRequest, {}, {}));
  const Hold most = worstCase(request, *table, kNow);
  const Cost all = cost(usage, request, *table, kNow);
  const bool free = usage.ended && usage.stopReason == "refusal";
  hold(all.money > Money() || free, "an answer is free");
  const Cost booked = settled(all, most);
  hold(booked.money >= Money() && booked.money <= most.money, "a settlement is above the most");
  hold(usage.ended || all.partial, "an answer without an end is whole");
}

std::string typeOf(const Json &value) {
  const auto type = value.is_object() ? value.find("type") : value.end();
  return value.is_object() && type != value.end() && type->is_string() ? type->get<std::string>() : std::string();
}

/// What a tree holds that makes a prompt longer than its bytes.
struct Blocks {
  std::uint64_t images = 0;
  bool documents = false;

  void visit(const Json &value, bool isSource) {
    if (value.is_array()) {
      for (const Json &item : value)
        visit(item, false);
    }
    if (!value.is_object()) return;
    const std::string type = isSource ? std::string() : typeOf(value);
    const auto source = value.find("source");
    const std::string from = source == value.end() ? std::string() : typeOf(*source);
    images += type == "image" ? 1 : 0;
    documents = documents || (type == "document" && from != "text" && from != "content");
    if (source != value.end()) visit(*source, true);
    if (const auto content = value.find("content"); content != value.end()) visit(*content, false);
  }
};

bool asksForAnHour(const Json &value) {
  if (!value.is_structured()) return false;
  if (const auto ttl = value.is_object() ? value.find("ttl") : value.end(); ttl != value.end() && *ttl == "1h")
    return true;
  return std::any_of(value.begin(), value.end(), asksForAnHour);
}

/// Of a member that is an array.
Json itemsOf(const Json &value, const char *member) {
  const auto found = value.is_object() ? value.find(member) : value.end();
  return value.is_object() && found != value.end() && found->is_array() ? *found : Json::array();
}

/// What only a tree shows easily: nothing that makes a call dearer has been overlooked, wherever it stands.
void overlooksNothing(const Json &tree, const MessageRequest &taken) {
  std::uint64_t uses = 0;
  std::uint64_t takenUses = 0;
  for (const Json &tool : itemsOf(tree, "tools"))
    if (typeOf(tool).starts_with("web_")) uses += tool.at("max_uses").get<std::uint64_t>();
  for (const ServerTool &tool : taken.serverTools)
    takenUses += tool.maxUses.value_or(0);
  hold(uses == takenUses, "another number of uses");
  Blocks blocks;
  for (const Json &message : itemsOf(tree, "messages"))
    for (const Json &block : itemsOf(message, "content"))
      blocks.visit(block, false);
  hold(taken.promptTokens >= blocks.images * 5'000 + (blocks.documents ? 1'000'000 : 0), "a shorter prompt");
  hold(!asksForAnHour(tree) || taken.caching == MessageRequest::Caching::Hour, "a shorter cache");
}

} // namespace

void usage(std::string_view bytes) {
  for (const bool isEventStream : {true, false}) {
    const Usage whole = readIn(bytes, isEventStream, std::max<std::size_t>(bytes.size(), 1));
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}})
      hold(readIn(bytes, isEventStream, step) == whole, "a cut changes what an answer says");
    costs(whole);
  }
}

void request(std::string_view bytes) {
  const auto outcome = MessageRequest::parse(bytes, {}, {});
  const auto *taken = std::get_if<MessageRequest>(&outcome);
  if (taken == nullptr) return;
  Json tree;
  try {
    tree = Json::parse(bytes);
  } catch (const Json::out_of_range &) {
    return; // a number beyond a double, to which RFC 8259 §6 sets no bound
  } catch (const Json::parse_error &) {
    hold(bytes.find("\\u") != std::string_view::npos, "no JSON"); // half a character, over which readers differ
    return;
  }
  const auto half = [](const std::string &text) { return text.find("\xEF\xBF\xBD") != std::string::npos; };
  hold(half(taken->model) || tree.at("model") == taken->model, "another model");
  hold(tree.at("max_tokens") == taken->maxTokens, "another max_tokens");
  const auto stream = tree.find("stream");
  hold((stream != tree.end() && *stream == true) == taken->stream, "another stream");
  hold(taken->promptTokens > 0 && !taken->unbounded, "a request without a bound");
  overlooksNothing(tree, *taken);
}

void prices(std::string_view bytes) {
  try {
    const auto table = PriceTable::parse(bytes);
    TokenCounts counts{1, 1, 1, 1, 1, 1};
    hold(table->price("m", kNow, counts, {}).money >= Money(), "a price is negative");
  } catch (const Error &) {
  }
}

} // namespace matrixos::gateway::fuzz
