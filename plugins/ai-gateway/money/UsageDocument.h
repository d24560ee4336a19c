/// What one JSON document of an answer says.
#pragma once

#include "JsonScanner.h"
#include "Usage.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace matrixos::gateway {

/// Picks what costs something out of the data of an event, or out of an answer that is not streamed
/// (https://platform.claude.com/docs/en/api/messages). Memory is bounded; nothing is allocated but for the figures.
class UsageDocument final : public JsonScanner::Handler {
public:
  /// For the scanner.
  static std::span<const std::string_view> names() noexcept;

  const Usage &usage() const noexcept { return usage_; }
  std::string_view type() const noexcept { return type_; }
  /// Replaces what the document says of; what it counts begins anew.
  void mergeInto(Usage &usage) const;
  /// Of `content_block_start`: a block that is there at once.
  void addBlockTo(Usage &usage) const;
  void clear() noexcept;

  void onText(const JsonScanner::Place &place, std::string_view text, std::size_t bytes) override;
  void onNumber(const JsonScanner::Place &place, std::string_view text) override;
  void onWord(const JsonScanner::Place &place, std::string_view text) override;
  void onOpen(const JsonScanner::Place &place, bool object) override;

private:
  std::optional<std::uint32_t> *figure(std::uint64_t path) noexcept;
  std::string *word(std::uint64_t path) noexcept;
  void iterationType(std::string_view type) noexcept;

  Usage usage_;
  std::string type_;
  std::string blockType_;
  std::string blockName_;
  std::uint64_t blockBytes_ = 0;
  bool hasIterations_ = false;
};

} // namespace matrixos::gateway
