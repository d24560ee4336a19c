#include "UsdText.h"

#include <http/codec/Grammar.h>

#include <charconv>
#include <cstdint>
#include <system_error>

namespace matrixos::gateway {

namespace {

constexpr std::uint64_t kPerDollar = 1'000'000'000'000;
constexpr std::size_t kPlaces = 12;

} // namespace

std::string usdText(Money amount) {
  const bool isNegative = amount.pico() < 0;
  const auto bits = static_cast<std::uint64_t>(amount.pico());
  const std::uint64_t size = isNegative ? 0 - bits : bits;
  std::string text = (isNegative ? "-" : "") + std::to_string(size / kPerDollar);
  const std::uint64_t rest = size % kPerDollar;
  if (rest == 0) return text;
  std::string places = std::to_string(rest);
  places.insert(0, kPlaces - places.size(), '0');
  places.erase(places.find_last_not_of('0') + 1);
  return text + '.' + places;
}

std::optional<Money> usdOf(std::string_view text) noexcept {
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view places = point == std::string_view::npos ? "0" : text.substr(point + 1);
  if (!http::isDigits(whole) || !http::isDigits(places) || places.size() > kPlaces) return std::nullopt;
  std::int64_t pico = 0, part = 0;
  if (std::from_chars(whole.data(), whole.data() + whole.size(), pico).ec != std::errc()) return std::nullopt;
  std::from_chars(places.data(), places.data() + places.size(), part);
  for (std::size_t i = places.size(); i < kPlaces; ++i)
    part *= 10;
  if (__builtin_mul_overflow(pico, std::int64_t{kPerDollar}, &pico) || __builtin_add_overflow(pico, part, &pico))
    return std::nullopt;
  return Money::ofPico(pico);
}

} // namespace matrixos::gateway
