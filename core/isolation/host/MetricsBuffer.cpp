#include "isolation/host/MetricsBuffer.h"

#include <matrixos/abi/host.h>

#include <algorithm>

namespace matrixos::isolation::host {

namespace {

/// Of one histogram between two flushes; the daemon could not keep up with more either.
constexpr std::size_t kMostObserved = 10'000;

} // namespace

std::uint64_t MetricsBuffer::series(const SeriesFrame &asked) {
  SeriesFrame frame = asked;
  std::sort(frame.labels.begin(), frame.labels.end());
  std::string key(frame.name);
  for (const auto &[name, value] : frame.labels)
    key.append(1, '\0').append(name).append(1, '\0').append(value);
  const std::lock_guard lock(naming_);
  if (const auto there = names_.find(key); there != names_.end()) return there->second;
  {
    const std::lock_guard entries(mutex_);
    frame.number = static_cast<std::uint32_t>(entries_.size());
    entries_.emplace_back().type = frame.type;
  }
  // The daemon counts also what it refuses.
  link_.ask(frame, [](const AnswerFrame &) {});
  return names_[key] = frame.number + std::uint64_t{1};
}

void MetricsBuffer::add(std::uint64_t handle, double value) {
  const std::lock_guard lock(mutex_);
  if (handle == 0 || handle > entries_.size()) return;
  Entry &entry = entries_[handle - 1];
  if (entry.type != MOS_METRIC_HISTOGRAM)
    entry.added += entry.type == MOS_METRIC_COUNTER ? std::max(value, 0.0) : value;
  else if (entry.observed.size() < kMostObserved)
    entry.observed.push_back(value);
  touched();
}

void MetricsBuffer::set(std::uint64_t handle, double value) {
  const std::lock_guard lock(mutex_);
  if (handle == 0 || handle > entries_.size() || entries_[handle - 1].type != MOS_METRIC_GAUGE) return;
  Entry &entry = entries_[handle - 1];
  entry.hasSet = true;
  entry.set = value;
  entry.added = 0;
  touched();
}

void MetricsBuffer::flush() {
  SamplesFrame frame;
  const auto put = [&](Sample sample) {
    frame.list.push_back(sample);
    if (frame.list.size() < SamplesFrame::kMost) return;
    link_.sendIfRoom(frame);
    frame.list.clear();
  };
  const std::lock_guard lock(mutex_);
  dirty_ = false;
  for (std::uint32_t number = 0; number < entries_.size(); ++number) {
    Entry &entry = entries_[number];
    if (std::exchange(entry.hasSet, false)) put({number, 1, entry.set});
    if (entry.added != 0) put({number, 0, std::exchange(entry.added, 0)});
    for (const double value : entry.observed)
      put({number, 0, value});
    entry.observed.clear();
  }
  if (!frame.list.empty()) link_.sendIfRoom(frame);
}

} // namespace matrixos::isolation::host
