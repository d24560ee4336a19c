/// The lines of an event stream.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace matrixos::gateway {

/// Takes a stream of server-sent events apart (https://html.spec.whatwg.org/multipage/server-sent-events.html), in
/// pieces of any size: lines end with LF, CR or CR LF, a blank behind the colon is not part of the value. Keeps nothing
/// of the data, however long a line is. Not thread-safe; allocates nothing.
class EventStream {
public:
  class Handler {
  public:
    virtual ~Handler() = default;
    /// Asked at each line of data: whether the data of an event of that name is to be had. The name is empty as long as
    /// no line has given one; one that is too long for any event we know is cut.
    virtual bool wantsData(std::string_view event) = 0;
    /// A part of it; lines are joined with LF.
    virtual void onData(std::string_view piece) = 0;
    /// The event is whole, and it had data.
    virtual void onEvent(std::string_view event) = 0;
  };

  explicit EventStream(Handler &handler) noexcept : handler_(handler) {}

  void feed(std::string_view piece);
  /// Nothing follows: an event that only lacks its empty line counts, as clients take it.
  void finish();

private:
  enum class State : std::uint8_t { Start, ByteOrderMark, Name, Blank, Value, Skip };
  static constexpr std::size_t kMaxName = 32;

  std::size_t take(std::string_view piece);
  std::size_t endLine(char end);
  void beginValue();
  void value(std::string_view piece);
  void dispatch();
  std::string_view field() const noexcept { return {field_.data(), fieldSize_}; }
  std::string_view event() const noexcept { return {event_.data(), eventSize_}; }

  Handler &handler_;
  State state_ = State::Start;
  bool afterReturn_ = false; ///< a CR came last
  bool hasData_ = false;
  bool wanted_ = false; ///< the line's data is passed on
  std::uint8_t markBytes_ = 0;
  std::uint8_t fieldSize_ = 0;
  std::uint8_t eventSize_ = 0;
  std::array<char, 6> field_{};
  std::array<char, kMaxName> event_{};
};

} // namespace matrixos::gateway
