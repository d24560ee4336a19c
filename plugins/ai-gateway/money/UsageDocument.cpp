#include "UsageDocument.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace matrixos::gateway {

namespace {

enum Name : std::uint8_t {
  kUnknown,
  kType,
  kMessage,
  kModel,
  kUsage,
  kDelta,
  kContent,
  kContentBlock,
  kStopReason,
  kName,
  kId,
  kToolUseId,
  kInputTokens,
  kOutputTokens,
  kCacheCreationTokens,
  kCacheReadTokens,
  kCacheCreation,
  kWrite5m,
  kWrite1h,
  kServerToolUse,
  kWebSearches,
  kIterations,
  kSpeed,
  kGeo,
  kServiceTier,
  kNames
};
constexpr std::array<std::string_view, kNames - 1> kNameTexts = {"type",
                                                                 "message",
                                                                 "model",
                                                                 "usage",
                                                                 "delta",
                                                                 "content",
                                                                 "content_block",
                                                                 "stop_reason",
                                                                 "name",
                                                                 "id",
                                                                 "tool_use_id",
                                                                 "input_tokens",
                                                                 "output_tokens",
                                                                 "cache_creation_input_tokens",
                                                                 "cache_read_input_tokens",
                                                                 "cache_creation",
                                                                 "ephemeral_5m_input_tokens",
                                                                 "ephemeral_1h_input_tokens",
                                                                 "server_tool_use",
                                                                 "web_search_requests",
                                                                 "iterations",
                                                                 "speed",
                                                                 "inference_geo",
                                                                 "service_tier"};

constexpr std::uint8_t kItem = JsonScanner::kItem;

constexpr std::uint8_t firstOf(std::uint64_t path) noexcept {
  return static_cast<std::uint8_t>(path & 0xFF);
}
/// The event that begins a stream has one level more than all other documents.
constexpr std::uint64_t withoutMessage(std::uint64_t path) noexcept {
  return firstOf(path) == kMessage ? path >> 8 : path;
}

template <class T>
void replace(std::optional<T> &into, const std::optional<T> &from) noexcept {
  if (from) into = from;
}
void replace(std::string &into, const std::string &from) {
  if (!from.empty()) into = from;
}

std::optional<std::uint32_t> *figureOf(CountedTokens &tokens, std::uint64_t path) noexcept {
  switch (path) {
  case pathOf(kInputTokens):
    return &tokens.input;
  case pathOf(kOutputTokens):
    return &tokens.output;
  case pathOf(kCacheReadTokens):
    return &tokens.cacheRead;
  case pathOf(kCacheCreationTokens):
    return &tokens.cacheCreation;
  case pathOf(kCacheCreation, kWrite5m):
    return &tokens.write5m;
  case pathOf(kCacheCreation, kWrite1h):
    return &tokens.write1h;
  default:
    return nullptr;
  }
}

} // namespace

std::span<const std::string_view> UsageDocument::names() noexcept {
  return kNameTexts;
}

void UsageDocument::clear() noexcept {
  usage_.model.clear();
  usage_.tokens = {};
  usage_.webSearches.reset();
  usage_.iterations.clear();
  for (std::string *text : {&usage_.speed, &usage_.geo, &usage_.serviceTier, &usage_.stopReason})
    text->clear();
  usage_.uncountedBytes = 0;
  usage_.broken = false;
  type_.clear();
  blockType_.clear();
  blockName_.clear();
  blockBytes_ = 0;
  hasIterations_ = false;
}

void UsageDocument::mergeInto(Usage &usage) const {
  replace(usage.model, usage_.model);
  replace(usage.tokens.input, usage_.tokens.input);
  replace(usage.tokens.cacheRead, usage_.tokens.cacheRead);
  replace(usage.tokens.cacheCreation, usage_.tokens.cacheCreation);
  replace(usage.tokens.write5m, usage_.tokens.write5m);
  replace(usage.tokens.write1h, usage_.tokens.write1h);
  replace(usage.tokens.output, usage_.tokens.output);
  replace(usage.webSearches, usage_.webSearches);
  if (hasIterations_) usage.iterations = usage_.iterations;
  replace(usage.speed, usage_.speed);
  replace(usage.geo, usage_.geo);
  replace(usage.serviceTier, usage_.serviceTier);
  replace(usage.stopReason, usage_.stopReason);
  usage.uncountedBytes += usage_.uncountedBytes;
  usage.broken = usage.broken || usage_.broken;
}

void UsageDocument::addBlockTo(Usage &usage) const {
  if (blockType_ == "server_tool_use") {
    if (blockName_ == "web_search") ++usage.searchesBegun;
  } else if (blockType_.ends_with("_tool_result")) {
    usage.toolResultBytes += blockBytes_;
  } else {
    usage.uncountedBytes += blockBytes_;
  }
}

void UsageDocument::onText(const JsonScanner::Place &place, std::string_view text, std::size_t bytes) {
  switch (firstOf(place.path)) {
  case kDelta:
    if (place.depth == 2 && place.name != kType && place.name != kStopReason) usage_.uncountedBytes += bytes;
    break;
  case kContent:
    if (place.name != kType) usage_.uncountedBytes += bytes;
    return;
  case kContentBlock:
    if (place.name != kType && place.name != kId && place.name != kToolUseId) blockBytes_ += bytes;
    break;
  default:
    break;
  }
  if (!place.isNamed()) return;
  if (place.path == pathOf(kType)) type_ = text;
  const std::uint64_t path = withoutMessage(place.path);
  if (std::string *into = word(path)) {
    *into = text;
  } else if (path == pathOf(kUsage, kIterations, kItem, kType)) {
    iterationType(text);
  } else if (figure(path) != nullptr) {
    usage_.broken = true;
  }
}

void UsageDocument::onNumber(const JsonScanner::Place &place, std::string_view text) {
  std::optional<std::uint32_t> *into = figure(withoutMessage(place.path));
  if (into == nullptr) return;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = end == text.data() + text.size() && text.front() != '-';
  if (!whole) {
    usage_.broken = true; // a fraction, or less than nothing
    return;
  }
  if (error != std::errc{} || value > CountedTokens::kMost) {
    value = CountedTokens::kMost;
    usage_.broken = true;
  }
  *into = static_cast<std::uint32_t>(value);
}

void UsageDocument::onWord(const JsonScanner::Place &place, std::string_view text) {
  if (text != "null" && figure(withoutMessage(place.path)) != nullptr) usage_.broken = true;
}

void UsageDocument::onOpen(const JsonScanner::Place &place, bool object) {
  const std::uint64_t path = withoutMessage(place.path);
  if (figure(path) != nullptr) usage_.broken = true;
  if (path == pathOf(kUsage, kIterations) && !object) {
    usage_.iterations.clear();
    hasIterations_ = true;
  }
  if (path != pathOf(kUsage, kIterations, kItem)) return;
  if (usage_.iterations.size() < Usage::kMaxIterations) {
    usage_.iterations.emplace_back();
  } else {
    usage_.broken = true;
  }
}

std::optional<std::uint32_t> *UsageDocument::figure(std::uint64_t path) noexcept {
  if (firstOf(path) != kUsage) return nullptr;
  path >>= 8;
  if (path == pathOf(kServerToolUse, kWebSearches)) return &usage_.webSearches;
  if ((path & 0xFFFF) != pathOf(kIterations, kItem)) return figureOf(usage_.tokens, path);
  return usage_.iterations.empty() ? nullptr : figureOf(usage_.iterations.back().tokens, path >> 16);
}

std::string *UsageDocument::word(std::uint64_t path) noexcept {
  switch (path) {
  case pathOf(kModel):
    return &usage_.model;
  case pathOf(kUsage, kSpeed):
    return &usage_.speed;
  case pathOf(kUsage, kGeo):
    return &usage_.geo;
  case pathOf(kUsage, kServiceTier):
    return &usage_.serviceTier;
  case pathOf(kStopReason):
  case pathOf(kDelta, kStopReason):
    return &usage_.stopReason;
  case pathOf(kContentBlock, kType):
    return &blockType_;
  case pathOf(kContentBlock, kName):
    return &blockName_;
  case pathOf(kUsage, kIterations, kItem, kModel):
    return usage_.iterations.empty() ? nullptr : &usage_.iterations.back().model;
  default:
    return nullptr;
  }
}

void UsageDocument::iterationType(std::string_view type) noexcept {
  if (usage_.iterations.empty()) return;
  auto &kind = usage_.iterations.back().kind;
  kind = type == "message"            ? Iteration::Kind::Message
         : type == "fallback_message" ? Iteration::Kind::Fallback
                                      : Iteration::Kind::Aside;
}

} // namespace matrixos::gateway
