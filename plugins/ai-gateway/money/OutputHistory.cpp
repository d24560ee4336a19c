#include "OutputHistory.h"

#include <algorithm>

namespace matrixos::gateway {

namespace {

std::string keyOf(std::string_view user, std::string_view model) {
  std::string key(user);
  key += '\0';
  key += model;
  return key;
}

} // namespace

void OutputHistory::add(std::string_view user, std::string_view model, std::uint32_t tokens) {
  std::string key = keyOf(user, model);
  if (const auto found = index_.find(key); found != index_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
  } else {
    entries_.emplace_front();
    entries_.front().key = std::move(key);
    index_.emplace(entries_.front().key, entries_.begin());
    if (entries_.size() > capacity_) {
      index_.erase(entries_.back().key);
      entries_.pop_back();
    }
  }
  Entry &entry = entries_.front();
  entry.outputs[entry.added++ % kOutputs] = tokens;
}

std::optional<std::uint32_t> OutputHistory::percentile(std::string_view user, std::string_view model) const {
  const auto found = index_.find(keyOf(user, model));
  if (found == index_.end()) return std::nullopt;
  auto outputs = found->second->outputs;
  const std::size_t count = std::min(found->second->added, kOutputs);
  const auto rank = outputs.begin() + static_cast<std::ptrdiff_t>((count * 95 + 99) / 100 - 1);
  std::nth_element(outputs.begin(), rank, outputs.begin() + static_cast<std::ptrdiff_t>(count));
  return *rank;
}

} // namespace matrixos::gateway
