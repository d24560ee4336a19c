/// JSON of strangers, read as it arrives.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace matrixos::gateway {

/// Reads one JSON text (RFC 8259) in pieces of any size and says what stands in it, without building a tree: its memory
/// does not grow with the text. Strict in form: no control character in a string, nothing behind the document, nested
/// at most kMaxDepth deep; whether the text is UTF-8 it does not look. Not thread-safe; allocates nothing.
class JsonScanner {
public:
  static constexpr std::size_t kMaxDepth = 256;
  /// Of a string, as it stands in the text; of a longer one the handler gets the front.
  static constexpr std::size_t kMaxText = 256;
  /// The name of a place in an array, and that of a member whose name is none of the scanner's.
  static constexpr std::uint8_t kItem = 255;
  static constexpr std::uint8_t kOther = 254;

  /// Where something stands.
  struct Place {
    /// The first eight names on the way from the root, the first in the lowest byte; see pathOf().
    std::uint64_t path = 0;
    std::uint8_t name = 0; ///< the last of them; 0 at the root; onClose() gets none that is beyond the path
    std::size_t depth = 0; ///< how many there are

    /// It is a member with one of the scanner's names.
    bool isNamed() const noexcept { return name != 0 && name < kOther; }
  };

  /// Told what stands where. Escapes in names and texts are resolved.
  class Handler {
  public:
    virtual ~Handler() = default;
    /// `text`: valid during the call, empty where the place's name is none of the scanner's; `bytes`: how long the text
    /// is between its quotes.
    virtual void onText(const Place & /*place*/, std::string_view /*text*/, std::size_t /*bytes*/) {}
    /// As it is written.
    virtual void onNumber(const Place & /*place*/, std::string_view /*text*/) {}
    /// "true", "false" or "null".
    virtual void onWord(const Place & /*place*/, std::string_view /*text*/) {}
    virtual void onOpen(const Place & /*place*/, bool /*object*/) {}
    virtual void onClose(const Place & /*place*/) {}
  };

  /// `names`: those that places are told by, 1 for the first; at most 253, none empty or longer than kMaxText. Both
  /// have to outlive the scanner.
  JsonScanner(std::span<const std::string_view> names, Handler &handler) noexcept : names_(names), handler_(handler) {}

  /// False from the first byte on that does not fit.
  bool feed(std::string_view piece);
  /// The document is whole.
  bool done() const noexcept { return state_ == State::Done; }
  bool failed() const noexcept { return state_ == State::Failed; }
  /// For the next document.
  void reset() noexcept;

private:
  enum class State : std::uint8_t {
    Value,
    ItemOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    Next,
    Text,
    Escape,
    Hex,
    Number,
    Word,
    Done,
    Failed
  };

  std::size_t take(std::string_view piece);
  void structure(char c);
  void value(char c);
  void open(bool object);
  void close(char c);
  void endValue() noexcept;
  void beginText(bool key) noexcept;
  std::size_t textPiece(std::string_view piece);
  void endText();
  std::uint8_t nameOf(std::string_view key) const noexcept;
  void escape(char c);
  void hexDigit(char c);
  void number(char c);
  void endNumber();
  void word(char c);
  void fail() noexcept { state_ = State::Failed; }

  bool inObject() const noexcept { return depth_ > 0 && objects_[depth_ - 1]; }
  void push(std::uint8_t name) noexcept;
  void pop() noexcept;
  Place place() const noexcept;
  void keep(std::string_view bytes) noexcept;
  void keepCharacter(std::uint32_t character) noexcept;
  std::string_view kept() const noexcept { return {text_.data(), textSize_}; }

  std::span<const std::string_view> names_;
  Handler &handler_;
  std::uint64_t path_ = 0;
  std::size_t level_ = 0; ///< names on the way
  std::size_t depth_ = 0; ///< open objects and arrays
  std::size_t textSize_ = 0;
  std::size_t textBytes_ = 0;
  std::string_view word_;
  std::uint32_t character_ = 0; ///< of an escape
  State state_ = State::Value;
  std::uint8_t name_ = 0;
  std::uint8_t hexDigits_ = 0;
  bool isKey_ = false;
  bool keeps_ = false;
  std::bitset<kMaxDepth> objects_;
  std::array<char, kMaxText> text_;
};

/// The path of these names, and of no others: fewer than Place::path holds, so that nothing deeper looks the same.
template <class... Names>
constexpr std::uint64_t pathOf(Names... names) noexcept {
  static_assert(sizeof...(names) < 8);
  std::uint64_t path = 0;
  unsigned shift = 0;
  ((path |= static_cast<std::uint64_t>(names) << shift, shift += 8), ...);
  return path;
}

} // namespace matrixos::gateway
