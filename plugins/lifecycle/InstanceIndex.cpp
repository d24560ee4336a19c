#include "InstanceIndex.h"

namespace matrixos::lifecycle {

InstanceIndex::Change InstanceIndex::apply(const InstanceRecord &record) {
  const std::lock_guard lock(mutex_);
  Change change;
  const auto known = entries_.find(record.handle);
  if (record.status == InstanceStatus::Deleted) {
    if (known == entries_.end() || known->second.rev > record.rev) return change;
    entries_.erase(known);
    change.accepted = change.removed = true;
    return change;
  }
  Entry &entry = known != entries_.end() ? known->second : entries_[record.handle];
  if (entry.rev > record.rev) return change;
  change.accepted = true;
  change.activityMoved = entry.rev != 0 && record.activitySeq > entry.activitySeq;
  entry = Entry{record.rev, record.activitySeq, record.status};
  return change;
}

std::optional<InstanceIndex::Entry> InstanceIndex::find(std::string_view handle) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(handle);
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

bool InstanceIndex::runs(std::string_view handle) const {
  const auto known = find(handle);
  return known && known->status == InstanceStatus::Running;
}

std::size_t InstanceIndex::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

} // namespace matrixos::lifecycle
