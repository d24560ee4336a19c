#include "UsageReader.h"

#include <algorithm>
#include <array>

namespace matrixos::gateway {

namespace {

constexpr std::string_view kStart = "message_start";
constexpr std::string_view kDelta = "message_delta";
constexpr std::string_view kBlockStart = "content_block_start";
constexpr std::string_view kBlockDelta = "content_block_delta";
constexpr std::string_view kError = "error";
constexpr std::string_view kStop = "message_stop";

} // namespace

UsageReader::UsageReader(bool isEventStream) noexcept : scanner_(UsageDocument::names(), document_), events_(*this) {
  usage_.streamed = isEventStream;
}

void UsageReader::feed(std::string_view piece) {
  if (usage_.streamed) {
    events_.feed(piece);
  } else {
    scanner_.feed(piece);
  }
}

void UsageReader::finish(bool complete) {
  if (usage_.streamed) {
    if (complete) events_.finish();
    return;
  }
  document_.mergeInto(usage_);
  usage_.outputCounted = usage_.tokens.output.has_value();
  if (usage_.outputCounted) usage_.uncountedBytes = 0;
  usage_.broken = usage_.broken || scanner_.failed();
  usage_.ended = complete && scanner_.done();
}

bool UsageReader::wantsData(std::string_view event) {
  static constexpr std::array kWanted = {std::string_view{}, kBlockDelta, kStart, kDelta, kBlockStart, kError};
  return std::find(kWanted.begin(), kWanted.end(), event) != kWanted.end();
}

void UsageReader::onData(std::string_view piece) {
  begun_ = true;
  scanner_.feed(piece);
}

void UsageReader::onEvent(std::string_view event) {
  if (!begun_) {
    usage_.ended = usage_.ended || event == kStop;
    return;
  }
  begun_ = false;
  // Clients go by the name of the event; where an upstream gives none, its data says what it is.
  const bool nameless = event.empty();
  if (scanner_.done()) {
    read(nameless ? document_.type() : event);
  } else {
    usage_.broken = usage_.broken || !nameless;
  }
  scanner_.reset();
  document_.clear();
}

void UsageReader::read(std::string_view type) {
  if (type == kBlockStart) {
    document_.addBlockTo(usage_);
  } else if (type == kDelta) {
    document_.mergeInto(usage_);
    if (!document_.usage().tokens.output) return;
    usage_.outputCounted = true;
    usage_.uncountedBytes = 0;
  } else if (type == kStart || type == kBlockDelta || type == kError) {
    document_.mergeInto(usage_);
  } else if (type == kStop) {
    usage_.ended = true;
  }
}

} // namespace matrixos::gateway
