/// Reads what an answer cost while it passes.
#pragma once

#include "EventStream.h"
#include "JsonScanner.h"
#include "Usage.h"
#include "UsageDocument.h"

#include <string_view>

namespace matrixos::gateway {

/// Is shown an answer of the Messages API byte by byte, in pieces of any size, and knows its usage. Of a stream it
/// reads `message_start`, `message_delta`, `content_block_start`, `content_block_delta` and `error`, and steps over the
/// rest; an answer in one piece it reads without a tree of it. Memory is bounded, whatever the upstream sends: about 2
/// KiB, and the iterations. Not thread-safe.
class UsageReader final : private EventStream::Handler {
public:
  explicit UsageReader(bool isEventStream) noexcept;
  UsageReader(const UsageReader &) = delete;
  UsageReader &operator=(const UsageReader &) = delete;

  void feed(std::string_view piece);
  /// Nothing follows. `complete`: the answer's transport ended in good order.
  void finish(bool complete);
  /// As far as it is known. Of a stream in flight: what it counted, and the bytes since. Of an answer in one piece all
  /// is known when it ends.
  const Usage &usage() const noexcept { return usage_; }

private:
  bool wantsData(std::string_view event) override;
  void onData(std::string_view piece) override;
  void onEvent(std::string_view event) override;
  void read(std::string_view type);

  Usage usage_;
  UsageDocument document_;
  JsonScanner scanner_;
  EventStream events_;
  bool begun_ = false; ///< data of the event has come
};

} // namespace matrixos::gateway
