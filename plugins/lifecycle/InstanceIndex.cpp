#include "InstanceIndex.h"

namespace matrixos::lifecycle {

InstanceIndex::Change InstanceIndex::apply(const InstanceView &view) {
  const std::lock_guard lock(mutex_);
  Change change;
  const auto known = entries_.find(view.handle);
  if (view.status == InstanceStatus::Deleted) {
    if (known == entries_.end() || known->second.rev > view.rev) return change;
    entries_.erase(known);
    change.accepted = change.removed = true;
    return change;
  }
  Entry &entry = known != entries_.end() ? known->second : entries_[view.handle];
  if (entry.rev > view.rev) return change;
  change.accepted = true;
  change.activityMoved = entry.rev != 0 && view.activitySeq > entry.activitySeq;
  entry = Entry{view.rev, view.activitySeq, view.status};
  return change;
}

std::optional<InstanceStatus> InstanceIndex::status(std::string_view handle) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(handle);
  if (found == entries_.end()) return std::nullopt;
  return found->second.status;
}

std::size_t InstanceIndex::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

} // namespace matrixos::lifecycle
