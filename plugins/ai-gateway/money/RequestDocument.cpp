#include "RequestDocument.h"

#include "TokenCounts.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace matrixos::gateway {

namespace {

enum Name : std::uint8_t {
  kUnknown,
  kModel,
  kMaxTokens,
  kStream,
  kTools,
  kType,
  kMaxUses,
  kMaxContentTokens,
  kSpeed,
  kGeo,
  kContextManagement,
  kEdits,
  kCacheControl,
  kTtl,
  kMcpServers,
  kFallbacks,
  kMessages,
  kContent,
  kSource,
  kData,
  kNames
};
constexpr std::array<std::string_view, kNames - 1> kNameTexts = {"model",
                                                                 "max_tokens",
                                                                 "stream",
                                                                 "tools",
                                                                 "type",
                                                                 "max_uses",
                                                                 "max_content_tokens",
                                                                 "speed",
                                                                 "inference_geo",
                                                                 "context_management",
                                                                 "edits",
                                                                 "cache_control",
                                                                 "ttl",
                                                                 "mcp_servers",
                                                                 "fallbacks",
                                                                 "messages",
                                                                 "content",
                                                                 "source",
                                                                 "data"};

constexpr std::uint8_t kItem = JsonScanner::kItem;
constexpr std::uint64_t kBlock = pathOf(kMessages, kItem, kContent, kItem);

constexpr std::size_t kMaxServerTools = 64;
/// The most that an image takes, whatever its bytes (https://platform.claude.com/docs/en/build-with-claude/vision).
constexpr std::uint64_t kImageTokens = 5'000;
/// What a document may take that is no text, or that is not in the body: it fills the largest context there is.
constexpr std::uint64_t kDocumentTokens = 1'000'000;
/// What the upstream adds to the prompt for tools at all, and for each that it knows by its type.
constexpr std::uint64_t kToolTokens = 1'000;

/// Tools that the caller runs.
bool runsAtCaller(std::string_view type) noexcept {
  static constexpr std::array<std::string_view, 5> kPrefixes = {"bash_", "text_editor_", "computer_", "memory_",
                                                                "str_replace_"};
  return type == "custom" || std::any_of(kPrefixes.begin(), kPrefixes.end(),
                                         [type](std::string_view prefix) { return type.starts_with(prefix); });
}

std::string_view nameText(std::uint8_t name) noexcept {
  return kNameTexts[name - 1U];
}

/// A whole number from 0 to 4,294,967,295, written as one.
std::optional<std::uint32_t> wholeNumber(std::string_view text) noexcept {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

} // namespace

std::span<const std::string_view> RequestDocument::names() noexcept {
  return kNameTexts;
}

const std::string &RequestDocument::fault() noexcept {
  if (!seen_[kModel]) wrong("model: Field required");
  if (!seen_[kMaxTokens]) wrong("max_tokens: Field required");
  return fault_;
}

std::uint64_t RequestDocument::promptTokens(std::size_t bodyBytes) const noexcept {
  return tokensOf(bodyBytes - imageBytes_) + images_ * kImageTokens + (documents_ ? kDocumentTokens : 0) +
         (tools_ > 0 ? (1 + typedTools_) * kToolTokens : 0);
}

void RequestDocument::onText(const JsonScanner::Place &place, std::string_view text, std::size_t bytes) {
  see(place);
  if (place.name == kTtl && text == "1h") request_.caching = MessageRequest::Caching::Hour;
  if (!blocks_.empty()) return blockText(place, text, bytes);
  switch (place.path) {
  case pathOf(kModel):
    if (bytes == 0 || bytes > JsonScanner::kMaxText) return wrong("model: String should have from 1 to 256 characters");
    request_.model = text;
    return;
  case pathOf(kSpeed):
    request_.fast = text == "fast";
    return;
  case pathOf(kGeo):
    request_.geo = text;
    return;
  case pathOf(kContextManagement, kEdits, kItem, kType):
    // Those that clear only make the prompt shorter; of others nobody knows what they run.
    compacts_ = compacts_ || !text.starts_with("clear_");
    return;
  case pathOf(kTools, kItem, kType):
    tool_.type = text;
    toolIsTyped_ = true;
    return;
  case pathOf(kFallbacks):
    fallsBack_ = true;
    return;
  default:
    return mismatch(place);
  }
}

void RequestDocument::onNumber(const JsonScanner::Place &place, std::string_view text) {
  see(place);
  const auto value = wholeNumber(text);
  switch (place.path) {
  case pathOf(kMaxTokens):
    if (!value) return mismatch(place);
    request_.maxTokens = *value;
    return;
  case pathOf(kTools, kItem, kMaxUses):
    if (!value) return mismatch(place);
    tool_.maxUses = value;
    return;
  case pathOf(kTools, kItem, kMaxContentTokens):
    if (!value) return mismatch(place);
    tool_.maxContentTokens = value;
    return;
  default:
    return mismatch(place);
  }
}

void RequestDocument::onWord(const JsonScanner::Place &place, std::string_view text) {
  see(place);
  if (place.path == pathOf(kStream) && text != "null") {
    request_.stream = text == "true";
  } else if (text != "null" || place.path == pathOf(kModel) || place.path == pathOf(kMaxTokens)) {
    mismatch(place);
  }
}

void RequestDocument::onOpen(const JsonScanner::Place &place, bool object) {
  if (place.depth == 0) {
    if (!object) wrong("The request body has to be a JSON object");
    return;
  }
  see(place);
  mismatch(place);
  if (place.name == kCacheControl && request_.caching == MessageRequest::Caching::None)
    request_.caching = MessageRequest::Caching::FiveMinutes;
  beginBlock(place);
  switch (place.path) {
  case pathOf(kTools, kItem):
    tool_ = {};
    tool_.index = tools_++;
    toolIsTyped_ = false;
    seenInTool_.reset();
    break;
  case pathOf(kMcpServers, kItem):
    tool_ = {};
    tool_.index = tools_;
    tool_.type = "mcp_toolset";
    toolIsTyped_ = true;
    endTool();
    break;
  case pathOf(kFallbacks):
    fallsBack_ = true;
    break;
  default:
    break;
  }
}

void RequestDocument::onClose(const JsonScanner::Place &place) {
  if (!blocks_.empty() && blocks_.back().depth == place.depth) endBlock();
  if (place.path == pathOf(kTools, kItem)) endTool();
}

/// Readers differ in which of two they believe.
void RequestDocument::see(const JsonScanner::Place &place) {
  if (!place.isNamed()) return;
  const bool inTool = place.depth == 3 && (place.path & 0xFFFF) == pathOf(kTools, kItem);
  const bool inBlock = !blocks_.empty() && place.depth == blocks_.back().depth + 1;
  if (place.depth != 1 && !inTool && !inBlock) return;
  auto &seen = inTool ? seenInTool_ : inBlock ? blocks_.back().seen : seen_;
  if (seen[place.name]) {
    const std::string twice = std::string(nameText(place.name)) + ": The request says it twice";
    inTool ? wrongInTool(twice) : wrong(inBlock ? "messages.content." + twice : twice);
  }
  seen.set(place.name);
}

/// What we read stands there as something else.
void RequestDocument::mismatch(const JsonScanner::Place &place) {
  switch (place.path) {
  case pathOf(kModel):
    return wrong("model: Input should be a valid string");
  case pathOf(kMaxTokens):
    return wrong("max_tokens: Input should be a valid integer");
  case pathOf(kStream):
    return wrong("stream: Input should be a valid boolean");
  case pathOf(kTools, kItem, kMaxUses):
  case pathOf(kTools, kItem, kMaxContentTokens):
    return wrongInTool(std::string(nameText(place.name)) + ": Input should be a valid integer");
  case pathOf(kTools, kItem, kType):
    return wrongInTool("type: Input should be a valid string");
  default:
    return;
  }
}

/// By depth, since paths end before blocks do.
void RequestDocument::beginBlock(const JsonScanner::Place &place) {
  const bool within = !blocks_.empty() && place.depth == blocks_.back().depth + 1 &&
                      (place.name == kItem || place.name == kContent || place.name == kSource);
  if (!within && place.path != kBlock) return;
  Block &block = blocks_.emplace_back();
  block.depth = place.depth;
  block.isSource = place.name == kSource;
}

void RequestDocument::blockText(const JsonScanner::Place &place, std::string_view text, std::size_t bytes) {
  Block &block = blocks_.back();
  if (place.depth != block.depth + 1) return;
  if (place.name == kType) block.type = text;
  if (place.name == kData && block.isSource) block.dataBytes = bytes;
}

void RequestDocument::endBlock() {
  const Block block = std::move(blocks_.back());
  blocks_.pop_back();
  if (block.isSource) {
    blocks_.back().source = block.type;
    blocks_.back().dataBytes = block.dataBytes;
  } else if (block.type == "image") {
    ++images_;
    if (block.source == "base64") imageBytes_ += block.dataBytes;
  } else if (block.type == "document") {
    documents_ = documents_ || (block.source != "text" && block.source != "content");
  }
}

void RequestDocument::endTool() {
  if (!toolIsTyped_) return;
  ++typedTools_;
  if (runsAtCaller(tool_.type)) return;
  if (request_.serverTools.size() == kMaxServerTools) return wrong("tools: Too many server tools");
  request_.serverTools.push_back(std::move(tool_));
}

void RequestDocument::wrong(std::string fault) {
  if (fault_.empty()) fault_ = std::move(fault);
}

void RequestDocument::wrongInTool(std::string_view fault) {
  wrong("tools." + std::to_string(tool_.index) + "." + std::string(fault));
}

} // namespace matrixos::gateway
