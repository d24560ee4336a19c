#include "PriceTable.h"

#include <http/codec/Grammar.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace matrixos::gateway {

namespace {

/// Nothing, a date or "-latest": what may follow a model's name.
bool isVersion(std::string_view text) noexcept {
  if (text.empty() || text == "-latest") return true;
  return text.size() == 9 && (text[0] == '-' || text[0] == '@') && http::isDigits(text.substr(1));
}

/// Bytes of the name by which the row is called, 0 when it is not meant.
std::size_t matched(const PriceTable::Row &row, std::string_view model) noexcept {
  const auto length = [model](const std::string &name) {
    return model.starts_with(name) && isVersion(model.substr(name.size())) ? name.size() : 0;
  };
  std::size_t most = length(row.model);
  for (const std::string &alias : row.aliases)
    most = std::max(most, length(alias));
  return most;
}

bool isOf(const PriceTable::Row &row, std::int64_t atMs) noexcept {
  return row.fromMs <= atMs && atMs < row.untilMs;
}

bool isDearer(const PriceTable::Sheet &a, const PriceTable::Sheet &b) noexcept {
  const auto order = [](const PriceTable::Sheet &s) {
    return std::tie(s.output, s.write1h, s.write5m, s.input, s.read);
  };
  return order(a) > order(b);
}

} // namespace

PriceTable::PriceTable(std::vector<Row> rows, std::map<std::string, std::uint64_t, std::less<>> geo,
                       std::uint64_t batch, Money webSearch)
    : rows_(std::move(rows)), geo_(std::move(geo)), batch_(batch), webSearch_(webSearch) {
  std::stable_sort(rows_.begin(), rows_.end(), [](const Row &a, const Row &b) { return a.fromMs < b.fromMs; });
}

PriceTable::Price PriceTable::price(std::string_view model, std::int64_t atMs, const TokenCounts &counts,
                                    const Modifiers &modifiers) const noexcept {
  const Quote quoted = quote(model, atMs, modifiers.fast);
  const std::uint64_t prompt =
      std::uint64_t{counts.input} + counts.cacheRead + counts.cacheWrite5m + counts.cacheWrite1h;
  const Sheet &sheet = quoted.above != nullptr && prompt > quoted.above->prompt ? quoted.above->sheet : *quoted.sheet;
  Money tokens = sheet.input * counts.input + sheet.read * counts.cacheRead + sheet.write5m * counts.cacheWrite5m +
                 sheet.write1h * counts.cacheWrite1h + sheet.output * counts.output;
  if (const auto geo = geo_.find(modifiers.geo); geo != geo_.end()) tokens = tokens.scaled(geo->second);
  if (modifiers.batch) tokens = tokens.scaled(batch_);
  return {tokens + webSearch_ * counts.webSearches, quoted.row->model, quoted.known};
}

const PriceTable::Row *PriceTable::find(std::string_view model, std::int64_t atMs) const noexcept {
  std::size_t most = 0;
  const Row *first = nullptr; // of the model, before its first time
  const Row *found = nullptr;
  for (const Row &row : rows_) {
    const std::size_t length = matched(row, model);
    if (length == 0 || length < most) continue;
    if (length > most) {
      most = length;
      first = &row;
      found = nullptr;
    }
    if (isOf(row, atMs)) found = &row;
  }
  return found != nullptr || first == nullptr || atMs >= first->fromMs ? found : first;
}

PriceTable::Quote PriceTable::quote(std::string_view model, std::int64_t atMs, bool fast) const noexcept {
  const Row *row = find(model, atMs);
  if (row == nullptr || (fast && !row->fast)) return dearest(atMs);
  if (fast) return {&*row->fast, nullptr, row, true};
  return {&row->sheet, row->above ? &*row->above : nullptr, row, true};
}

PriceTable::Quote PriceTable::dearest(std::int64_t atMs) const noexcept {
  Quote most;
  const auto consider = [&most](const Row &row, const Sheet &sheet) {
    if (most.sheet == nullptr || isDearer(sheet, *most.sheet)) most = {&sheet, nullptr, &row, false};
  };
  const bool any = std::any_of(rows_.begin(), rows_.end(), [atMs](const Row &row) { return isOf(row, atMs); });
  for (const Row &row : rows_) {
    if (any && !isOf(row, atMs)) continue;
    consider(row, row.sheet);
    if (row.above) consider(row, row.above->sheet);
    if (row.fast) consider(row, *row.fast);
  }
  return most;
}

} // namespace matrixos::gateway
