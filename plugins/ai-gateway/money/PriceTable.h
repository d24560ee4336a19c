/// What tokens cost.
#pragma once

#include "Money.h"
#include "TokenCounts.h"

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::gateway {

/// The prices of a file, exact and immutable. [any-thread]
class PriceTable {
public:
  /// Of one token, by its kind.
  struct Sheet {
    Money input, write5m, write1h, read, output;

    auto operator<=>(const Sheet &) const = default;
  };
  /// Of every token of a request whose prompt (input, reads and writes) has more than `prompt` tokens.
  struct Above {
    std::uint64_t prompt = 0;
    Sheet sheet;
  };
  /// A model's prices for a time.
  struct Row {
    std::string model; ///< without a date
    std::vector<std::string> aliases;
    std::int64_t fromMs = std::numeric_limits<std::int64_t>::min();
    std::int64_t untilMs = std::numeric_limits<std::int64_t>::max(); ///< no more from then on
    Sheet sheet;
    std::optional<Above> above;
    std::optional<Sheet> fast;
  };
  struct Modifiers {
    bool fast = false;
    bool batch = false;
    std::string_view geo; ///< as `inference_geo` says
  };
  struct Price {
    Money money;
    std::string_view model; ///< the row that it was taken from; as long as the table lives
    bool known = true;      ///< false: that row is the dearest, since the table has no price for this
  };
  /// A factor on all tokens, in millionths.
  static constexpr std::uint64_t kOne = 1'000'000;

  PriceTable(std::vector<Row> rows, std::map<std::string, std::uint64_t, std::less<>> geo, std::uint64_t batch,
             Money webSearch);
  /// From the text of a price file (README.md). Throws matrixos::Error(InvalidArgument) that names the member.
  static std::shared_ptr<const PriceTable> parse(std::string_view json);

  /// What these tokens cost at a time, in milliseconds since 1970. A model goes by the longest name that it begins
  /// with, if nothing or a date follows it ("-20250805", "@20250805", "-latest"). What has no price costs that of the
  /// dearest row: the one with the highest price of output, then of writes for an hour, for five minutes, of input and
  /// of reads. Web searches cost the same everywhere.
  Price price(std::string_view model, std::int64_t atMs, const TokenCounts &counts,
              const Modifiers &modifiers) const noexcept;

private:
  struct Quote {
    const Sheet *sheet = nullptr;
    const Above *above = nullptr;
    const Row *row = nullptr;
    bool known = true;
  };
  const Row *find(std::string_view model, std::int64_t atMs) const noexcept;
  Quote quote(std::string_view model, std::int64_t atMs, bool fast) const noexcept;
  Quote dearest(std::int64_t atMs) const noexcept;

  std::vector<Row> rows_; ///< a model's own in the order of their times
  std::map<std::string, std::uint64_t, std::less<>> geo_;
  std::uint64_t batch_;
  Money webSearch_;
};

} // namespace matrixos::gateway
