#pragma once

#include "Ids.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

namespace matrixos::identity {

/// Things that are fetched once, by an id that nobody guesses, within a time: codes, states of sign-ins. Bounded: of
/// too many the oldest goes. Any thread.
template <typename Value>
class OneTime {
public:
  OneTime(std::int64_t ttlMs, std::size_t most) : ttlMs_(ttlMs), most_(most) {}

  /// `now`: ms, never less than before.
  void put(const Digest &id, Value value, std::int64_t now) {
    const std::lock_guard lock(mutex_);
    while (!order_.empty() && (order_.front().until <= now || order_.size() >= most_)) {
      byId_.erase(order_.front().key);
      order_.pop_front();
    }
    if (!byId_.try_emplace(id, order_.end()).second) return; // a state that is used twice is the first one's
    order_.push_back({id, now + ttlMs_, std::move(value)});
    byId_[id] = std::prev(order_.end());
  }
  /// Takes it out, whatever the caller then thinks of it.
  std::optional<Value> take(const Digest &id, std::int64_t now) {
    const std::lock_guard lock(mutex_);
    const auto found = byId_.find(id);
    if (found == byId_.end()) return {};
    const auto entry = found->second;
    byId_.erase(found);
    std::optional<Value> value;
    if (now < entry->until) value = std::move(entry->value);
    order_.erase(entry);
    return value;
  }

private:
  struct Entry {
    DigestKey key;
    std::int64_t until;
    Value value;
  };

  const std::int64_t ttlMs_;
  const std::size_t most_;
  std::mutex mutex_;
  std::list<Entry> order_; ///< the oldest first
  std::unordered_map<DigestKey, typename std::list<Entry>::iterator, DigestKey::Hash> byId_;
};

} // namespace matrixos::identity
