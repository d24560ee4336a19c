/// What the body of a request says.
#pragma once

#include "JsonScanner.h"
#include "MessageRequest.h"

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::gateway {

/// Picks out of a body what MessageRequest has. The first thing that is wrong stays as `fault()`.
class RequestDocument final : public JsonScanner::Handler {
public:
  /// For the scanner.
  static std::span<const std::string_view> names() noexcept;

  explicit RequestDocument(MessageRequest &request) noexcept : request_(request) {}

  /// A sentence that begins with the member; empty: none. After the whole body.
  const std::string &fault() noexcept;
  bool compacts() const noexcept { return compacts_; }
  bool fallsBack() const noexcept { return fallsBack_; }
  /// The bound for a body of so many bytes.
  std::uint64_t promptTokens(std::size_t bodyBytes) const noexcept;

  void onText(const JsonScanner::Place &place, std::string_view text, std::size_t bytes) override;
  void onNumber(const JsonScanner::Place &place, std::string_view text) override;
  void onWord(const JsonScanner::Place &place, std::string_view text) override;
  void onOpen(const JsonScanner::Place &place, bool object) override;
  void onClose(const JsonScanner::Place &place) override;

private:
  /// A block of a message, or what is open within it that may hold another: its content, its source, their items.
  struct Block {
    std::size_t depth = 0;
    std::bitset<256> seen{};
    bool isSource = false;
    std::string type;
    std::string source;
    std::uint64_t dataBytes = 0;
  };

  void see(const JsonScanner::Place &place);
  void mismatch(const JsonScanner::Place &place);
  void beginBlock(const JsonScanner::Place &place);
  void blockText(const JsonScanner::Place &place, std::string_view text, std::size_t bytes);
  void endBlock();
  void endTool();
  void wrong(std::string fault);
  void wrongInTool(std::string_view fault);

  MessageRequest &request_;
  std::string fault_;
  std::bitset<256> seen_;     ///< members of the root
  std::vector<Block> blocks_; ///< each within the one before
  ServerTool tool_;
  std::size_t tools_ = 0;
  std::size_t typedTools_ = 0;
  bool toolIsTyped_ = false;
  std::bitset<256> seenInTool_;
  std::uint64_t images_ = 0;
  std::uint64_t imageBytes_ = 0;
  bool documents_ = false;
  bool compacts_ = false;
  bool fallsBack_ = false;
};

} // namespace matrixos::gateway
