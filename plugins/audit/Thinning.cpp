#include "Thinning.h"

#include <utility>

namespace matrixos::audit {

namespace {

constexpr std::chrono::minutes kMinute{1};

bool isRead(const Record &record) {
  return record.action.rfind("GET ", 0) == 0 || record.action.rfind("HEAD ", 0) == 0;
}

} // namespace

bool Thinning::isKept(const Record &record, Time now) {
  bool kept = true;
  if (record.principal.empty()) {
    if (now - minute_ >= kMinute) {
      minute_ = now;
      strangers_ = 0;
    }
    kept = ++strangers_ <= settings_.strangersPerMinute;
  } else if (isRead(record)) {
    if (reads_.size() >= kMostReads) reads_.clear();
    const auto [at, first] = reads_.try_emplace(record.principal + "\n" + record.action + "\n" + record.handle, now);
    kept = first || now - at->second >= settings_.readsEvery;
    if (kept) at->second = now;
    if (!kept) return false; // the one that is kept stands for them
  }
  if (!kept && leftOut_++ == 0) told_ = now;
  return kept;
}

std::uint64_t Thinning::takeLeftOut(Time now) {
  if (leftOut_ == 0 || now - told_ < kMinute) return 0;
  return std::exchange(leftOut_, 0);
}

} // namespace matrixos::audit
